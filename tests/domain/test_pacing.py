"""Budgets never allow more than the provider does, whatever the arrivals; and waste little."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.pacing import (
    STEADY,
    Budget,
    GcraBudget,
    LogBudget,
    Pace,
    QuotaBudget,
    RateBudget,
    next_send,
    rate_budget,
    throttled,
)
from ingestion.domain.windows import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tests.domain.shapes import us

NOON = us("2024-03-08 12:00")
limits = st.tuples(
    st.integers(1, 12),
    st.sampled_from([SECOND_US, 10 * SECOND_US, MINUTE_US]),
    st.sampled_from([0, 1, 100_000]),
)
waits = st.lists(
    st.one_of(st.just(0), st.integers(0, 3 * SECOND_US), st.integers(0, 2 * MINUTE_US)),
    min_size=1,
    max_size=60,
)


def most_in_any_window(arrivals: list[int], window_us: int) -> int:
    """Count the fullest half-open window that begins at an arrival."""
    ordered = sorted(arrivals)
    return max(sum(start <= at < start + window_us for at in ordered) for start in ordered)


def record(budgets: Sequence[Budget], at_us: int) -> tuple[Budget, ...]:
    """Enter one send time in every budget."""
    return tuple(budget.record(at_us) for budget in budgets)


def take(budget: RateBudget, *, k: int, until_us: int | None = None) -> list[int]:
    """Take up to `k` permits in a row from noon on, none later than `until_us`."""
    taken: list[int] = []
    while len(taken) < k:
        at = budget.earliest(taken[-1] if taken else NOON)
        if until_us is not None and at > until_us:
            break
        taken.append(at)
        budget = budget.record(at)
    return taken


def run(budgets: list[Budget], gaps: list[int]) -> list[int]:
    """Ask for a permit after each gap, and use it when it is given."""
    now, sends, left = NOON, [], tuple(budgets)
    for gap in gaps:
        at = next_send(left, now + gap)
        left = record(left, at)
        sends.append(at)
        now = max(now + gap, at if gap % 2 else now)
    return sends


@given(limits, waits, st.data())
def test_no_window_ever_holds_more_than_the_limit(
    limit: tuple[int, int, int], gaps: list[int], data: st.DataObject
) -> None:
    """Even where every permit is used anywhere within its guard, for the log and for GCRA."""
    n, window_us, guard_us = limit
    for budget in (
        LogBudget(n=n, window_us=window_us, guard_us=guard_us),
        GcraBudget(n=n, window_us=window_us, guard_us=guard_us),
    ):
        sends = run([budget], gaps)
        late = data.draw(
            st.lists(st.integers(0, guard_us), min_size=len(sends), max_size=len(sends))
        )
        arrivals = [at + delay for at, delay in zip(sends, late, strict=True)]
        assert most_in_any_window(arrivals, window_us) <= n


@given(
    st.integers(20, 130),
    st.lists(st.tuples(st.integers(0, 2 * SECOND_US), st.integers(1, 40)), max_size=8),
)
def test_bursts_stay_within_the_limit(n: int, crowds: list[tuple[int, int]]) -> None:
    """Crowds of requests after silences of any length never overfill a window of GCRA."""
    gaps = [gap for wait, size in crowds for gap in (wait, *[0] * (size - 1))]
    sends = run([GcraBudget(n=n, window_us=SECOND_US, guard_us=100_000)], gaps)
    assert most_in_any_window_fast(tuple(sends), SECOND_US + 100_000) <= n


@given(st.lists(limits, min_size=2, max_size=3), waits)
def test_several_limits_hold_at_once(limits: list[tuple[int, int, int]], gaps: list[int]) -> None:
    """One send time satisfies every budget."""
    budgets: list[Budget] = [LogBudget(n=n, window_us=w, guard_us=g) for n, w, g in limits]
    sends = run(budgets, gaps)
    for n, window_us, _ in limits:
        assert most_in_any_window(sends, window_us) <= n


@given(limits, waits, st.lists(st.booleans(), min_size=60, max_size=60))
def test_throttles_only_ever_slow_down(
    limit: tuple[int, int, int], gaps: list[int], refused: list[bool]
) -> None:
    """With 429s in between the limit still holds, and no send comes before the one asked."""
    n, window_us, guard_us = limit
    for first in (
        LogBudget(n=n, window_us=window_us, guard_us=guard_us),
        GcraBudget(n=n, window_us=window_us, guard_us=guard_us),
    ):
        budget, now, sends = first, NOON, []
        for gap, bad in zip(gaps, refused, strict=False):
            now += gap
            at = next_send([budget], now)
            assert at >= now
            budget = budget.record(at)
            sends.append(at)
            if bad:
                budget = throttled(budget, sent_at_us=at, now_us=at)
        assert most_in_any_window(sends, window_us) <= n


@pytest.mark.parametrize(
    ("n", "window_us"),
    [(5, SECOND_US), (60, MINUTE_US), (200, SECOND_US), (1000, MINUTE_US), (2000, SECOND_US)],
)
def test_a_busy_account_uses_most_of_its_limit(n: int, window_us: int) -> None:
    """At least 80 % of the allowed rate over ten windows."""
    budget = rate_budget(n=n, window_us=window_us)
    taken = take(budget, k=20_000, until_us=NOON + 10 * window_us)
    assert len(taken) >= 0.8 * n * 10
    assert most_in_any_window_fast(tuple(taken), window_us) <= n


def most_in_any_window_fast(ordered: tuple[int, ...], window_us: int) -> int:
    """Count the fullest window of ascending arrivals with two pointers."""
    first, most = 0, 0
    for index, at in enumerate(ordered):
        while ordered[first] <= at - window_us:
            first += 1
        most = max(most, index - first + 1)
    return most


def test_the_log_serves_small_limits_and_gcra_large_ones() -> None:
    """300 requests per window is the last exact one; cost counts."""
    assert isinstance(rate_budget(n=300, window_us=MINUTE_US), LogBudget)
    assert isinstance(rate_budget(n=301, window_us=MINUTE_US), GcraBudget)
    weighted = rate_budget(n=600, window_us=MINUTE_US, cost=2)
    assert isinstance(weighted, LogBudget)
    assert weighted.requests == 300


def test_requests_keep_a_small_distance() -> None:
    """A burst is spread by up to 50 ms each, and by less where the limit needs it."""
    for n, spacing in ((5, 50_000), (200, 5_000)):
        sends = take(LogBudget(n=n, window_us=SECOND_US), k=5)
        assert {later - earlier for earlier, later in pairwise(sends)} == {spacing}


def test_the_log_keeps_no_more_sends_than_it_needs() -> None:
    """Also when a send time is recorded late, it stays sorted."""
    budget = LogBudget(n=3, window_us=SECOND_US)
    for at in (NOON, NOON + 5, NOON + 9, NOON + 7):
        budget = budget.record(at)
    assert budget.sends == (NOON + 5, NOON + 7, NOON + 9)


def test_a_limit_that_allows_nothing_is_refused() -> None:
    """A budget of zero would never send and never say why."""
    for kind in (LogBudget, GcraBudget):
        with pytest.raises(ValueError, match="never allows"):
            kind(n=1, window_us=SECOND_US, cost=2)
    with pytest.raises(ValueError, match="never allows"):
        QuotaBudget(n=0)
    with pytest.raises(ValueError, match="leaves nothing"):
        QuotaBudget(n=10, reserve=10)


class TestQuota:
    """A daily quota holds per local day, across its reset."""

    def test_a_spent_quota_waits_for_the_local_midnight(self) -> None:
        """New York's day of the DST change ends at 04:00Z, not at 05:00Z."""
        budget = QuotaBudget(
            n=2, reset_tz="America/New_York", day=date(2024, 3, 10), used=2, guard_us=0
        )
        assert budget.earliest(us("2024-03-10 15:00")) == us("2024-03-11 04:00")
        assert budget.earliest(us("2024-03-11 15:00")) == us("2024-03-11 15:00")

    def test_nothing_is_sent_around_the_reset(self) -> None:
        """Within the guard of midnight the two clocks may disagree about the day."""
        budget = QuotaBudget(n=10, guard_us=100_000)
        midnight = us("2024-03-09 00:00")
        assert budget.earliest(midnight - 100_001) == midnight - 100_001
        for now in (midnight - 100_000, midnight - 1, midnight, midnight + 99_999):
            assert budget.earliest(now) == midnight + 100_000

    @given(st.integers(1, 5), st.integers(0, 4), st.lists(st.integers(0, 9 * HOUR_US), max_size=40))
    def test_no_day_ever_holds_more_than_the_quota(
        self, n: int, reserve: int, gaps: list[int]
    ) -> None:
        """For any arrivals, less what is held in reserve."""
        held = min(reserve, n - 1)
        sends = run([QuotaBudget(n=n, reserve=held), LogBudget(n=3, window_us=MINUTE_US)], gaps)
        days = [at // DAY_US for at in sends]
        assert max((days.count(day) for day in days), default=0) <= n - held

    def test_a_quota_pushes_the_other_limits_along(self) -> None:
        """Past midnight the log still has its say."""
        midnight = us("2024-03-09 00:00")
        quota = QuotaBudget(n=1, day=date(2024, 3, 8), used=1)
        log = LogBudget(n=1, window_us=DAY_US, guard_us=0, sends=(NOON,))
        assert next_send([log, quota], NOON) == NOON + DAY_US
        assert next_send([quota], NOON) == midnight + 100_000


class TestPace:
    """One episode of throttling stretches once, then recovers to nine tenths."""

    def test_an_episode_stretches_once(self) -> None:
        """Answers to requests that left before the stretch teach nothing new."""
        budget = LogBudget(n=10, window_us=SECOND_US)
        first = throttled(budget, sent_at_us=NOON, now_us=NOON + 10)
        assert first.pace.stretch == 2.0
        assert throttled(first, sent_at_us=NOON + 5, now_us=NOON + 20) is first
        again = throttled(first, sent_at_us=NOON + 11, now_us=NOON + 30)
        assert again.pace.stretch == pytest.approx(4.0)

    def test_it_recovers_to_nine_tenths_and_forgets_after_a_day(self) -> None:
        """The rate that failed is not tried again at once."""
        pace = STEADY.throttled(sent_at_us=NOON, now_us=NOON, window_us=SECOND_US)
        factors = [
            pace.factor_at(NOON + age, window_us=SECOND_US)
            for age in (0, 30 * SECOND_US, MINUTE_US, DAY_US - 1, DAY_US)
        ]
        assert factors == pytest.approx([2.0, (2 + 1 / 0.9) / 2, 1 / 0.9, 1 / 0.9, 1.0])

    @given(st.lists(st.integers(1, 2 * MINUTE_US), max_size=30))
    def test_the_factor_stays_within_its_bounds(self, gaps: list[int]) -> None:
        """However often a provider refuses, the pace neither stops nor exceeds the limit."""
        pace, now = STEADY, NOON
        for gap in gaps:
            now += gap
            pace = pace.throttled(sent_at_us=now, now_us=now, window_us=SECOND_US)
            assert 1.0 <= pace.learned_floor <= pace.stretch <= 64.0

    def test_a_stretched_budget_is_slower(self) -> None:
        """Twice the window for the same number of requests."""
        steady = LogBudget(n=4, window_us=SECOND_US, guard_us=0)
        slow = LogBudget(
            n=4,
            window_us=SECOND_US,
            guard_us=0,
            pace=Pace(stretch=2.0, stretched_at_us=NOON, learned_floor=2.0),
        )
        assert take(steady, k=5)[-1] - NOON == SECOND_US
        assert take(slow, k=5)[-1] - NOON == 2 * SECOND_US
