"""Seconds that people wait: commands from their start to their end, as a shell runs them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Final

from benchmarks.measure import Report, WrongContent, seconds, spread
from benchmarks.work import COMMAND, empty_tables
from ingestion.models import Attempt, Job
from mdc.stack.embedded import EmbeddedStack
from mdc.stack.processes import child_environment

SYMBOLS: Final = 500
ROUNDS: Final = 7
_LISTINGS: Final[Mapping[str, list[str]]] = {
    "--help": ["--help"],
    "update --help": ["update", "--help"],
    "job list": ["job", "list"],
    "watchlist list": ["watchlist", "list"],
    "files list": ["files", "list"],
    "target list": ["target", "list"],
    "symbols search": ["symbols", "search", "apple"],
}


def run(stack: EmbeddedStack) -> Report:
    """Time listings, and an update of 500 symbols that lack nothing."""
    empty_tables()
    stack.start(["control", "fetch", "beat"])
    update = ["update", "synthetic", "--symbols", ",".join(f"S{n:03}" for n in range(SYMBOLS))]
    first = seconds(lambda: _mdc(stack, update))
    before = (Job.objects.count(), Attempt.objects.count())
    again = _spread(stack, update)
    if (Job.objects.count(), Attempt.objects.count()) != before:
        raise WrongContent("everyday", "an update of current symbols opened a job")
    stack.stop_processes(["beat", "fetch", "control"])
    return {
        "update_500_current": {"seconds": again, "wanted": 3.0, "requests": 0},
        "update_500_new_seconds": round(first, 2),
        "listings": {
            "wanted": 0.7,
            **{name: _spread(stack, arguments) for name, arguments in _LISTINGS.items()},
        },
    }


def _spread(stack: EmbeddedStack, arguments: list[str]) -> dict[str, float]:
    taken = [seconds(lambda: _mdc(stack, arguments)) for _ in range(1 + ROUNDS)]
    return spread(taken[1:], digits=3)


def _mdc(stack: EmbeddedStack, arguments: list[str]) -> None:
    subprocess.run(
        [COMMAND, *arguments],
        env=child_environment(stack.environment),
        capture_output=True,
        check=True,
    )
