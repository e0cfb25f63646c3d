"""How figures are taken and told: rounds side by side, with their spread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

Spread = dict[str, float]
Report = dict[str, object]


class WrongContent(AssertionError):
    """Signal that a benchmark ended with other content than it should have stored."""

    def __init__(self, benchmark: str, finding: str) -> None:
        super().__init__(
            f"benchmark {benchmark} stored something else than it was given: {finding}"
        )
        self.benchmark = benchmark
        self.finding = finding


def seconds(work: Callable[[], object]) -> float:
    """Run the work once and return how long it took."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def spread(values: Sequence[float], *, digits: int = 0) -> Spread:
    """Return min, median and max, rounded."""
    chosen = {"min": min(values), "median": statistics.median(values), "max": max(values)}
    return {name: round(value, digits) for name, value in chosen.items()}


def interleave(
    works: Mapping[str, Callable[[int], float]], *, rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Take one figure of each work per round, so that a slow minute of the machine slows all.

    A work is given the number of its round, and returns its figure. The order within a round
    rotates by one each time. The first `warm_up` rounds are not counted.
    """
    names = list(works)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(warm_up + rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            figure = works[name](number)
            if number >= warm_up:
                taken[name].append(figure)
    return taken


def against_limit(rates: Sequence[float], limits: Sequence[float]) -> Report:
    """Compare two rates in rows/s that were taken in the same rounds, by their medians."""
    rate, limit = statistics.median(rates), statistics.median(limits)
    return {
        "rows_per_s": round(rate),
        "limit_rows_per_s": round(limit),
        "ratio": round(rate / limit, 3),
        "rows_per_s_spread": spread(rates),
        "limit_rows_per_s_spread": spread(limits),
        "ratio_spread": spread(
            [rate / limit for rate, limit in zip(rates, limits, strict=True)], digits=3
        ),
        "rounds": len(rates),
    }
