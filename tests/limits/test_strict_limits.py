"""Requests stay below a provider's limit, and use what it allows, whoever sends them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from providers.base import RateLimit
from tests.limits.ground import PROVIDER, backfill, fresh_symbols, restrict, wait_for
from tests.recovery.field import Field

SECOND = timedelta(seconds=1)
ENOUGH = 0.80


def utilisation(arrivals: list[float], limit: RateLimit) -> float:
    """Return the share of the allowed rate that was used, over as many whole windows as there are.

    From one arrival to the one that is n places later a limiter can make wait one window at least.
    """
    windows, _ = divmod(len(arrivals) - 1, limit.n)
    assert windows, f"{len(arrivals)} requests are too few to see {limit} at work"
    ordered = sorted(arrivals)
    taken = ordered[windows * limit.n] - ordered[0]
    return windows * limit.window.total_seconds() / taken


def measure(field: Field, *limits: RateLimit, requests: int, within: float) -> list[float]:
    """Send at least so many requests under limits; check that none broke one; return arrivals."""
    control = restrict(field, *limits)
    job_id = backfill(field, fresh_symbols(-(-requests // 470)))
    # More than enough slices: what is left when the requests have been counted is dropped.
    wait_for(
        f"{requests} requests",
        lambda: control.stats().get(PROVIDER, {"requests": 0})["requests"] >= requests,
        within=within,
    )
    drop(field, job_id)
    stats = control.stats(arrivals=True)[PROVIDER]
    assert stats["violations"] == 0, f"{stats['violations']} of {stats['requests']} requests"
    assert stats["identical_requests"]["extra"] == 0
    assert set(stats["by_status"]) == {"200"}
    return list(stats["arrivals"])


def drop(field: Field, job_id: int) -> None:
    from ingestion.services.cancel_job import cancel_job
    from tests.recovery.field import TESTER

    cancel_job(job_id, actor=TESTER)
    wait_for("the end", lambda: field.states([job_id])[job_id] == "cancelled", within=10)


@pytest.mark.parametrize(
    ("n", "requests"),
    [pytest.param(5, 16, id="5-a-second"), pytest.param(200, 601, id="200-a-second")],
)
def test_no_request_breaks_a_limit_and_most_of_it_is_used(
    field: Field, n: int, requests: int
) -> None:
    """Not one arrival is too many, while 80 % of what is allowed arrives."""
    limit = RateLimit(n, SECOND)
    used = utilisation(measure(field, limit, requests=requests, within=30), limit)
    print(f"{len(field.stack.processes)} processes, {n}/s: {used:.1%} of the limit used")
    assert used >= ENOUGH
