"""What a supervisor and those who start it survive; tests/stack/test_running.py kills the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from mdc.stack import postgres
from mdc.stack.addresses import Home
from mdc.stack.embedded import EmbeddedStack
from mdc.stack.lock import is_locked
from mdc.stack.processes import ALL, PROJECT, child_environment
from tests.stack.waiting import gone, until


def test_a_mark_of_a_dead_postmaster_does_not_block_the_next(home: Home) -> None:
    """The number in postmaster.pid may belong to somebody else by now, here to this test."""
    with EmbeddedStack(home, durable=False):
        pass
    stale = [str(os.getpid()), str(home.postgres_data), "1", "5432", str(home.run), "", "1 1", ""]
    (home.postgres_data / "postmaster.pid").write_text("\n".join(stale))
    with EmbeddedStack(home, durable=False):
        assert postgres.is_ready(home)


@contextmanager
def mdc_up(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """Run `mdc up` as a user would and wait until everything serves."""
    environment = child_environment({"MDC_HOME": str(home.root)})
    for name in ("MDC_DATABASE_URL", "MDC_BROKER_URL"):
        environment.pop(name, None)
    with subprocess.Popen(
        [sys.executable, "-m", "mdc", "up"],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            until(lambda: process.poll() is not None or serves(process, home), within=60)
            assert process.poll() is None
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def serves(process: subprocess.Popen[bytes], home: Home) -> bool:
    """Tell whether both servers and all processes of this very supervisor are ready."""
    if not home.state.exists():
        return False
    state = json.loads(home.state.read_text())
    phases = [entry["phase"] for entry in state["processes"]]
    return bool(state["pid"] == process.pid and phases == ["ready"] * (2 + len(ALL)))


def family(process: subprocess.Popen[bytes]) -> list[int]:
    """Return all descendants of a process."""
    return [child.pid for child in psutil.Process(process.pid).children(recursive=True)]


def test_mdc_up_recovers_from_a_kill_of_everything_and_ctrl_c_leaves_nothing(home: Home) -> None:
    """The supervisor and all its processes are killed with -9; the next start needs no hand."""
    with mdc_up(home) as first:
        everything = family(first)
        for pid in (first.pid, *everything):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    until(lambda: all(gone(pid) for pid in everything))
    with mdc_up(home) as second:
        everything = family(second)
        second.send_signal(signal.SIGINT)
        output, _ = second.communicate(timeout=60)
    assert second.returncode == 0
    assert b"Nothing is left running" in output
    assert b"Traceback" not in output
    assert [pid for pid in everything if not gone(pid)] == []
    assert not is_locked(home)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has death signals")
def test_a_killed_supervisor_takes_its_whole_family_along(home: Home) -> None:
    """Nobody is left although the supervisor alone was killed, and the next one starts."""
    program = (
        "import sys, time; from mdc.stack.addresses import Home; "
        "from mdc.stack.embedded import EmbeddedStack; "
        "stack = EmbeddedStack(Home.at(sys.argv[1])).__enter__(); "
        "stack.start(['control'], prepare=False); print('ready', flush=True); "
        "time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(home.root)], stdout=subprocess.PIPE, cwd=PROJECT
    ) as owner:
        assert owner.stdout is not None
        until(lambda: owner.stdout.readline().startswith(b"ready"))  # type: ignore[union-attr]
        everything = family(owner)
        owner.kill()
    assert len(everything) > 3
    until(lambda: all(gone(pid) for pid in everything))
    with EmbeddedStack(home):
        assert postgres.is_ready(home)
