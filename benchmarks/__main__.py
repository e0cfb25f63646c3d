"""Run benchmarks against a fresh embedded stack and merge their figures into one file."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import django
import orjson
from django.db import connection

from benchmarks.measure import Report
from mdc.stack.addresses import Home
from mdc.stack.embedded import EmbeddedStack
from mdc.stack.errors import StackError

# Each module has run(stack: EmbeddedStack) -> Report; its report stands under its name.
BENCHMARKS: Final = {
    "writer": "benchmarks.writer",
    "peers": "benchmarks.peers",
    "slices": "benchmarks.slices",
    "plan": "benchmarks.plan",
    "claim": "benchmarks.claim",
    "urgent": "benchmarks.urgent",
    "http": "benchmarks.http",
    "pace": "benchmarks.pace",
    "reading": "benchmarks.reading",
    "everyday": "benchmarks.everyday",
    "export": "benchmarks.export",
    "quality": "benchmarks.quality",
    "gaps": "benchmarks.gaps",
    "schedules": "benchmarks.schedules",
}
# These run only when they are named: they take many minutes, or gigabytes of disk.
LARGE: Final = {
    "export_large": "benchmarks.export_large",
    "nightly": "benchmarks.nightly",
}
KNOWN: Final = BENCHMARKS | LARGE
RESULTS: Final = Path(__file__).parent / "results" / "latest.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named benchmarks, or all; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("names", nargs="*", help=f"some of: {', '.join(KNOWN)}")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(KNOWN))
    if unknown:
        parser.error(f"unknown {', '.join(unknown)}; known: {', '.join(KNOWN)}")
    # Not in the user's own home or database: figures need an empty one, and leave nothing behind.
    home = Path(tempfile.mkdtemp(prefix="mdc-bench-"))
    try:
        with EmbeddedStack(Home.at(home)) as stack:
            return _run_all(options.names or list(BENCHMARKS), stack, output=options.output)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run_all(names: Sequence[str], stack: EmbeddedStack, *, output: Path) -> int:
    stack.prepare()
    os.environ.update(stack.environment)
    django.setup()
    for name in names:
        print(f"{name} ...", flush=True)
        report: Report = importlib.import_module(KNOWN[name]).run(stack)
        merge(output, {name: report, "machine": _machine()})
        print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode(), flush=True)
    connection.close()
    print(f"written to {output}")
    return 0


def merge(path: Path, reports: Report) -> None:
    """Put reports into the file, keeping what other runs left there under other names."""
    kept = orjson.loads(path.read_bytes()) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_bytes(orjson.dumps({**kept, **reports}, option=orjson.OPT_INDENT_2) + b"\n")
    draft.replace(path)


def _machine() -> Report:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        row = cursor.fetchone()
    return {
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "postgresql": row[0].split()[0] if row else "",
        "system": f"{platform.system()} {platform.machine()}",
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    sys.exit(main())
