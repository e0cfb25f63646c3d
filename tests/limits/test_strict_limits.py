"""Requests stay below a provider's limit, however many processes send.

How much of it they use is a figure, and a benchmark's: `make bench ARGS=pace`.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from providers.base import RateLimit
from tests.limits.work import PROVIDER, WEEK, backfill, fresh_symbols, restrict, wait_for
from tests.recovery.field import Field, day

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
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


@pytest.mark.parametrize(
    ("n", "requests"),
    [pytest.param(5, 11, id="5-a-second"), pytest.param(200, 601, id="200-a-second")],
)
def test_no_request_breaks_a_limit(field: Field, n: int, requests: int) -> None:
    """Not one arrival is too many."""
    send(field, requests, RateLimit(n, SECOND), within=60)


@pytest.mark.parametrize("staff", [4], indirect=True)
def test_a_burst_fills_a_long_window_and_the_next_one_waits_for_its_end(field: Field) -> None:
    """Two limits hold at once: the stricter one decides at each moment."""
    burst, pace = RateLimit(40, 4 * SECOND), RateLimit(20, SECOND)
    arrivals = send(field, 50, burst, pace, within=60)
    assert arrivals[burst.n] - arrivals[0] >= burst.window.total_seconds()
    assert arrivals[pace.n] - arrivals[0] >= pace.window.total_seconds()


@pytest.mark.drill
def test_sixty_a_minute_is_never_broken(field: Field) -> None:
    """Each minute brings its sixty requests and not one more, over two minutes."""
    send(field, 121, RateLimit(60, MINUTE), within=240)
