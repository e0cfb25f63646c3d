"""Requests stay below a provider's limit and use what it allows, however many processes send."""

from __future__ import annotations

from datetime import timedelta

import pytest

from providers.base import RateLimit
from tests.limits.work import PROVIDER, WEEK, backfill, fresh_symbols, restrict, wait_for
from tests.recovery.field import Field, day

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
ENOUGH = 0.80
WEEKS_PER_SYMBOL = 400


def send(field: Field, requests: int, *limits: RateLimit, within: float) -> list[float]:
    """Have about so many requests sent; check that none broke a limit; return their arrivals."""
    control = restrict(field, *limits)
    symbols, weeks = 1, requests
    while weeks > WEEKS_PER_SYMBOL:
        symbols, weeks = symbols + 1, -(-requests // (symbols + 1))
    start = day("2004-01-05")
    job_id = backfill(field, fresh_symbols(symbols), start=start, end=start + weeks * WEEK)
    wait_for(
        f"{requests} requests",
        lambda: field.states([job_id])[job_id] == "completed",
        within=within,
    )
    stats = control.stats(arrivals=True)[PROVIDER]
    assert stats["violations"] == 0
    assert set(stats["by_status"]) == {"200"}
    assert stats["identical_requests"]["extra"] == 0
    assert stats["requests"] >= requests
    return sorted(stats["arrivals"])


def used(arrivals: list[float], limit: RateLimit) -> float:
    """Return the share of the allowed rate that was used, over all whole windows.

    n requests are one window's worth: the n-th after the first may come a window after it.
    """
    windows = (len(arrivals) - 1) // limit.n
    seconds = arrivals[windows * limit.n] - arrivals[0]
    return windows * limit.window.total_seconds() / seconds


def most_used(field: Field, requests: int, limit: RateLimit, *, within: float) -> float:
    """Return the best of up to three runs, each without any violation.

    A machine that others use at the same time may be too slow for one of them.
    """
    best = 0.0
    for _ in range(3):
        best = max(best, used(send(field, requests, limit, within=within), limit))
        if best >= ENOUGH:
            break
    print(f"{limit.n} per {limit.window.total_seconds():g} s: {best:.1%} of the limit used")
    return best


@pytest.mark.parametrize(
    ("n", "requests"),
    [pytest.param(5, 11, id="5-a-second"), pytest.param(200, 601, id="200-a-second")],
)
def test_no_request_breaks_a_limit_and_most_of_it_is_used(
    field: Field, n: int, requests: int
) -> None:
    """Not one arrival is too many, and at least 80 % of what is allowed arrives."""
    assert most_used(field, requests, RateLimit(n, SECOND), within=40) >= ENOUGH


@pytest.mark.parametrize("staff", [2], indirect=True)
def test_a_burst_fills_a_long_window_and_the_next_one_waits_for_its_end(field: Field) -> None:
    """Two limits hold at once: the stricter one decides at each moment."""
    burst, pace = RateLimit(40, 4 * SECOND), RateLimit(20, SECOND)
    arrivals = send(field, 50, burst, pace, within=40)
    assert arrivals[burst.n] - arrivals[0] >= burst.window.total_seconds()
    assert arrivals[pace.n] - arrivals[0] >= pace.window.total_seconds()


@pytest.mark.drill
def test_sixty_a_minute_is_never_broken_and_used(field: Field) -> None:
    """Each minute brings its sixty requests and not one more, over two minutes."""
    assert most_used(field, 121, RateLimit(60, MINUTE), within=180) >= ENOUGH
