"""Slices partition what is missing, share their boundaries and never expect nothing."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation, OutsideCalendar, expect
from ingestion.domain.slicing import plan_slices, slice_span
from ingestion.domain.states import Workload
from ingestion.domain.windows import DAY_US, HOUR_US, Window
from providers.base import SeriesCapability
from providers.types import Adjustment, Anchor, Hours, Timeframe
from tests.domain.shapes import VENUES, expectations, some_ranges, spans

lengths = st.one_of(
    st.integers(1, 72).map(lambda hours: timedelta(hours=hours)),
    st.integers(1, 40).map(lambda days: timedelta(days=days)),
)
MINUTES = expect(
    VENUES["weekdays"], timeframe=Timeframe.M1, hours=Hours.REGULAR, anchor=Anchor.OPEN
)


@given(some_ranges, lengths, expectations)
def test_plans_partition_every_interval_that_expects_something(
    missing: Ranges, length: timedelta, expectation: Expectation
) -> None:
    """Each interval is either cut exactly, or expects nothing and is left out."""
    plan = plan_slices(missing=missing, span=length, expectation=expectation)
    assert (plan.starts < plan.ends).all()
    for start, end in missing:
        promised = expectation.promised.count(start, end)
        mine = (plan.starts >= start) & (plan.ends <= end)
        assert plan.bars[mine].sum() == promised
        if promised:
            assert plan.starts[mine][0] == start
            assert plan.ends[mine][-1] == end
            assert (plan.starts[mine][1:] == plan.ends[mine][:-1]).all()
        else:
            assert not mine.any()
    assert plan.bars.sum() == sum(expectation.promised.count(start, end) for start, end in missing)


@given(some_ranges, lengths, expectations)
def test_every_planned_slice_expects_a_bar(
    missing: Ranges, length: timedelta, expectation: Expectation
) -> None:
    """No request is ever spent on a weekend."""
    plan = plan_slices(missing=missing, span=length, expectation=expectation)
    for window, bars in zip(plan.windows(), plan.bars.tolist(), strict=True):
        assert bars == expectation.count_expected_bars(window) > 0


@given(spans, spans, lengths, expectations)
def test_overlapping_jobs_make_the_same_slices(
    one: tuple[int, int], two: tuple[int, int], length: timedelta, expectation: Expectation
) -> None:
    """Away from the ends of either window the boundaries are equal."""
    plans = [
        plan_slices(missing=Ranges.of([pair]), span=length, expectation=expectation)
        for pair in (one, two)
    ]
    # Only the first slice of a window and its last two depend on where the window ends.
    step = length // timedelta(microseconds=1)
    first, last = max(one[0], two[0]) + 32 * DAY_US + step, min(one[1], two[1]) - 2 * step
    inner = [plan.starts[(plan.starts > first) & (plan.starts < last)].tolist() for plan in plans]
    assert inner[0] == inner[1]


@given(spans, st.integers(1, 40), expectations)
def test_a_boundary_never_cuts_a_session_that_fits(
    span: tuple[int, int], days: int, expectation: Expectation
) -> None:
    """A session is served by one slice, unless it is longer than the span."""
    length = timedelta(days=days)
    plan = plan_slices(missing=Ranges.of([span]), span=length, expectation=expectation)
    units = expectation.units
    for bound in plan.starts[1:].tolist():
        cut = (units.starts < bound) & (bound < units.ends)
        assert (units.ends[cut] - units.starts[cut] > days * DAY_US).all()


def test_a_weekend_joins_the_friday_before_it() -> None:
    """A week of day-long slices is five slices."""
    plan = plan_slices(
        missing=Ranges.of([(4 * DAY_US, 13 * DAY_US)]),
        span=timedelta(days=1),
        expectation=MINUTES,
    )
    days = [(piece.start_us // DAY_US, piece.end_us // DAY_US) for piece in plan.windows()]
    assert days == [(4, 5), (5, 6), (6, 7), (7, 8), (8, 11), (11, 12), (12, 13)]
    assert set(plan.bars.tolist()) == {390}


def test_a_leading_weekend_joins_the_monday_after_it() -> None:
    """There is nothing before it to join."""
    plan = plan_slices(
        missing=Ranges.of([(9 * DAY_US, 12 * DAY_US)]),
        span=timedelta(days=1),
        expectation=MINUTES,
    )
    assert [(window.start_us, window.end_us) for window in plan.windows()] == [
        (9 * DAY_US, 12 * DAY_US)
    ]


def test_nothing_missing_makes_no_slices() -> None:
    """And neither does a lone weekend."""
    for missing in (Ranges.empty(), Ranges.of([(9 * DAY_US, 11 * DAY_US)])):
        plan = plan_slices(missing=missing, span=timedelta(days=1), expectation=MINUTES)
        assert len(plan) == 0
        assert list(plan.windows()) == []


def test_sessions_longer_than_the_span_are_cut_inside() -> None:
    """Two-hour polling slices of a venue that never closes."""
    always = expect(
        VENUES["always"], timeframe=Timeframe.M1, hours=Hours.REGULAR, anchor=Anchor.OPEN
    )
    plan = plan_slices(
        missing=Ranges.of([(4 * DAY_US + HOUR_US, 5 * DAY_US)]),
        span=timedelta(hours=2),
        expectation=always,
    )
    assert np.diff(plan.starts).tolist() == [HOUR_US] + [2 * HOUR_US] * 10


def test_what_the_calendar_does_not_know_is_not_planned_away() -> None:
    """Silence of the calendar is an error, never an empty plan."""
    with pytest.raises(OutsideCalendar, match="TEST is known from"):
        plan_slices(
            missing=Ranges.of([(999 * DAY_US, 1001 * DAY_US)]),
            span=timedelta(days=1),
            expectation=MINUTES,
        )


@pytest.mark.parametrize("span", [timedelta(0), timedelta(days=-1)])
def test_a_span_that_holds_nothing_is_refused(span: timedelta) -> None:
    """Everywhere a span is taken."""
    window = Window.of_us(0, DAY_US)
    with pytest.raises(ValueError, match="give a positive one"):
        plan_slices(missing=Ranges.of_windows([window]), span=span, expectation=MINUTES)
    with pytest.raises(ValueError, match="give a positive one"):
        slice_span(
            workload=Workload.HISTORICAL,
            timeframe=Timeframe.M1,
            requested=span,
            capability=SeriesCapability(adjustment=Adjustment.RAW, max_rows=10),
        )


class TestSpan:
    """A slice is sized to few requests of its provider."""

    @staticmethod
    def span(
        timeframe: Timeframe,
        *,
        max_rows: int = 1_000_000,
        max_span: timedelta | None = None,
        requested: timedelta | None = None,
        workload: Workload = Workload.HISTORICAL,
        bars_per_day: float | None = None,
    ) -> timedelta:
        return slice_span(
            workload=workload,
            timeframe=timeframe,
            requested=requested,
            capability=SeriesCapability(
                adjustment=Adjustment.RAW, max_rows=max_rows, max_span=max_span
            ),
            bars_per_day=bars_per_day,
        )

    def test_defaults_are_thirty_days_and_two_hours(self) -> None:
        """Historical and realtime, where the provider sets no narrower bound."""
        assert self.span(Timeframe.M1) == timedelta(days=30)
        assert self.span(Timeframe.M1, workload=Workload.REALTIME) == timedelta(hours=2)

    def test_daily_history_takes_what_one_request_holds(self) -> None:
        """Thirty days of daily bars would waste a request on 21 rows."""
        assert self.span(Timeframe.D1, max_rows=5000) == timedelta(days=5000)
        assert self.span(Timeframe.W1, max_rows=100) == timedelta(weeks=100)
        assert self.span(Timeframe.D1, max_span=timedelta(days=365)) == timedelta(days=365)

    def test_a_span_shrinks_to_two_requests(self) -> None:
        """By rows, in full days; denser than the clock it cannot get."""
        assert self.span(Timeframe.M1, max_rows=5000) == timedelta(days=6)
        assert self.span(Timeframe.M1, max_rows=5000, bars_per_day=390 * 5 / 7) == timedelta(
            days=30
        )
        assert self.span(Timeframe.M1, max_rows=300) == timedelta(hours=10)

    def test_a_span_is_never_longer_than_one_request_may_be(self) -> None:
        """Who bounds a request's span has no second page: a longer slice would be refused."""
        assert self.span(Timeframe.M1, max_span=timedelta(days=7)) == timedelta(days=7)

    def test_a_requested_span_is_kept_where_it_fits(self) -> None:
        """It is cut down when it would take more requests."""
        assert self.span(Timeframe.D1, requested=timedelta(days=90)) == timedelta(days=90)
        assert self.span(Timeframe.D1, requested=timedelta(days=90), max_rows=20) == timedelta(
            days=40
        )

    @given(
        st.sampled_from(Timeframe),
        st.integers(1, 50_000),
        st.one_of(st.none(), st.integers(1, 4000).map(lambda hours: timedelta(hours=hours))),
        st.one_of(st.none(), lengths),
        st.sampled_from(Workload),
    )
    def test_a_span_holds_a_bar_and_two_requests_at_most(
        self,
        timeframe: Timeframe,
        max_rows: int,
        max_span: timedelta | None,
        requested: timedelta | None,
        workload: Workload,
    ) -> None:
        """Never less than one bar, never more rows than two requests carry."""
        span = self.span(
            timeframe,
            max_rows=max_rows,
            max_span=max_span,
            requested=requested,
            workload=workload,
        )
        assert span >= timeframe.duration
        assert span <= max(timeframe.duration, 2 * max_rows * timeframe.duration)
