"""Strict limits: the provider never sees a request too many, and the allowed rate is used."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ingestion.services.cancel_job import cancel_job
from providers.base import RateLimit
from tests.limits.rates import fetch_at
from tests.recovery.field import TESTER, Field, staffed
from tests.stack.waiting import until

FIVE_A_SECOND = RateLimit(5, timedelta(seconds=1))
SIXTY_A_MINUTE = RateLimit(60, timedelta(minutes=1))
TWO_HUNDRED_A_SECOND = RateLimit(200, timedelta(seconds=1))


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_no_window_of_a_second_sees_more_than_200_requests(field: Field, processes: int) -> None:
    """However many processes take permits, the sum of what they send stays within the limit."""
    with staffed(field, fetch_processes=processes):
        seen = fetch_at(field, TWO_HUNDRED_A_SECOND, seconds=4)
    print(processes, len(seen.at), seen.used(TWO_HUNDRED_A_SECOND, after=1.0))
    assert len(seen.at) > 200
    assert (seen.violations, seen.repeated) == (0, 0)


def test_slow_limits_are_kept_and_used(field: Field) -> None:
    """Five a second and sixty a minute are sent, not more and not much less."""
    with staffed(field, fetch_processes=2):
        seen = fetch_at(field, FIVE_A_SECOND, seconds=6)
        print(len(seen.at), seen.used(FIVE_A_SECOND))
        assert (seen.violations, seen.repeated) == (0, 0)
        assert seen.used(FIVE_A_SECOND) >= 0.8
        cancel_job(field.jobs[-1], actor=TESTER)
        until(lambda: field.states()[field.jobs[-1]] == "cancelled", within=10)
        seen = fetch_at(field, SIXTY_A_MINUTE, seconds=5)
        print(len(seen.at))
        assert (seen.violations, seen.repeated) == (0, 0)
        # A minute's worth at once, and then nothing before the first of them is a minute old.
        assert len(seen.at) == 60
