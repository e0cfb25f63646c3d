"""Judging an answer claims neither more nor less than it proves."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingestion.calendars import expectation_for
from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation, Units, expect
from ingestion.domain.judgement import Judgement, judge_coverage
from ingestion.domain.windows import DAY_US, HOUR_US, Window, to_us
from providers.types import Anchor, Hours, Timeframe
from tests.domain.shapes import VENUES, expectations, moments, some_ranges, spans


def shape(venue: str, timeframe: Timeframe) -> Expectation:
    return expect(VENUES[venue], timeframe=timeframe, hours=Hours.REGULAR, anchor=Anchor.OPEN)


DAYS = shape("weekdays", Timeframe.D1)
MINUTES = shape("weekdays", Timeframe.M1)
# Monday the 5th to Monday the 12th of January 1970.
WEEK = Window.of_us(4 * DAY_US, 11 * DAY_US)


def judge(
    expectation: Expectation,
    window: Window,
    stamps: list[int],
    *,
    proven_until: int | None = None,
    first_bar_ever: int | None = None,
    listed_from: int | None = None,
    traded: Ranges | None = None,
    refused: list[int] | None = None,
    labels: Ranges | None = None,
) -> Judgement:
    return judge_coverage(
        expectation,
        window=window,
        proven_until=proven_until,
        stamps=np.array(sorted(stamps), dtype=np.int64),
        first_bar_ever=first_bar_ever,
        listed_from=listed_from,
        traded=traded,
        refused=None if refused is None else np.array(refused, dtype=np.int64),
        labels=labels,
    )


def days(units: Units) -> list[int]:
    return (units.labels // DAY_US).tolist()


@given(
    expectations,
    spans,
    st.data(),
    st.one_of(st.none(), moments),
    st.one_of(st.none(), moments),
    some_ranges,
    st.lists(moments, max_size=5),
)
def test_the_parts_make_up_the_proven_window_exactly(
    expectation: Expectation,
    span: tuple[int, int],
    data: st.DataObject,
    proven_until: int | None,
    listed_from: int | None,
    loaded: Ranges,
    refused: list[int],
) -> None:
    """Covered, missing, refused and not listed are disjoint; together they are the window."""
    window = Window.of_us(*span)
    promised = expectation.expected_stamps(window).tolist()[:500]
    chosen = data.draw(st.lists(st.sampled_from(promised), max_size=12)) if promised else []
    first = min(chosen) if chosen and data.draw(st.booleans()) else None
    judged = judge(
        expectation,
        window,
        sorted(set(chosen)),
        proven_until=proven_until,
        first_bar_ever=first,
        listed_from=listed_from,
        traded=loaded,
        refused=refused,
    )
    end = window.end_us if proven_until is None else min(window.end_us, proven_until)
    whole = Ranges.of([(window.start_us, max(window.start_us, end))])
    parts = (
        judged.covered,
        judged.missing.ranges(),
        judged.refused.ranges(),
        judged.not_listed,
    )
    assert sum(part.total_us for part in parts) == whole.total_us
    assert parts[0].union(parts[1]).union(parts[2]).union(parts[3]) == whole
    # Every expected unit of the clipped window is in one of them, but for one that broke off.
    units = expectation.expected_units(window).clip(whole.starts.min(initial=2**62), end)
    for start, stop in zip(units.starts.tolist(), units.ends.tolist(), strict=True):
        if start < end:
            whole_in = sum(part.covers(start, min(stop, end)) for part in parts)
            assert whole_in == 1 or parts[1].clip(start, stop).total_us
    # No bar that arrived within the proven part is called missing or refused.
    stamps = np.array(chosen, dtype=np.int64)
    assert not parts[1].union(parts[2]).contains(stamps).any()


def test_weekends_are_covered_by_silence() -> None:
    """Five bars prove all seven days."""
    judged = judge(DAYS, WEEK, [day * DAY_US for day in range(4, 9)])
    assert judged.covered == Ranges.of_windows([WEEK])
    assert len(judged.missing) == len(judged.not_listed) == 0


def test_an_interior_day_without_a_bar_is_missing() -> None:
    """Wednesday stays a hole in the coverage."""
    judged = judge(DAYS, WEEK, [day * DAY_US for day in (4, 5, 7, 8)], first_bar_ever=0)
    assert days(judged.missing) == [6]
    assert judged.covered == Ranges.of([(4 * DAY_US, 6 * DAY_US), (7 * DAY_US, 11 * DAY_US)])


def test_absent_minutes_of_a_traded_session_are_no_gap() -> None:
    """One bar proves that the session was served; the rest did not trade."""
    judged = judge(MINUTES, WEEK, [day * DAY_US + 15 * HOUR_US for day in range(4, 9)])
    assert judged.covered == Ranges.of_windows([WEEK])


def test_a_truncated_answer_proves_only_its_part() -> None:
    """What lies behind proven_until is neither covered nor missing."""
    judged = judge(DAYS, WEEK, [4 * DAY_US, 5 * DAY_US], proven_until=6 * DAY_US)
    assert judged.covered == Ranges.of([(4 * DAY_US, 6 * DAY_US)])
    assert len(judged.missing) == 0
    nothing = judge(DAYS, WEEK, [], proven_until=WEEK.start_us)
    assert (len(nothing.covered), len(nothing.missing)) == (0, 0)


def test_days_before_the_first_bar_ever_were_not_listed() -> None:
    """A leading empty run is explained; a later empty day is not."""
    judged = judge(DAYS, WEEK, [6 * DAY_US, 8 * DAY_US], first_bar_ever=6 * DAY_US)
    assert judged.not_listed == Ranges.of([(4 * DAY_US, 6 * DAY_US)])
    assert days(judged.missing) == [7]


def test_without_any_bar_ever_nothing_is_explained() -> None:
    """An empty answer for an unknown symbol must not look like a late listing."""
    judged = judge(DAYS, WEEK, [])
    assert days(judged.missing) == [4, 5, 6, 7, 8]
    assert len(judged.not_listed) == 0


def test_an_earlier_bar_makes_a_leading_run_missing() -> None:
    """The series existed already, so its silence is a gap."""
    judged = judge(DAYS, WEEK, [6 * DAY_US], first_bar_ever=DAY_US)
    assert days(judged.missing) == [4, 5, 7, 8]


def test_a_known_listing_date_decides() -> None:
    """From the listing on silence is a gap; a bar before it proves the date wrong."""
    judged = judge(DAYS, WEEK, [7 * DAY_US], first_bar_ever=7 * DAY_US, listed_from=5 * DAY_US)
    assert days(judged.missing) == [5, 6, 8]
    assert judged.not_listed == Ranges.of([(4 * DAY_US, 5 * DAY_US)])
    wrong = judge(DAYS, WEEK, [5 * DAY_US], first_bar_ever=5 * DAY_US, listed_from=8 * DAY_US)
    assert days(wrong.missing) == [6, 7, 8]


def test_a_session_of_which_another_part_is_loaded_has_traded() -> None:
    """A quiet quarter of an hour in a poll is no gap, unless nothing of the session is known."""
    noon = 4 * DAY_US + 16 * HOUR_US
    quiet = Window.of_us(noon, noon + HOUR_US // 4)
    assert len(judge(MINUTES, quiet, []).missing) == 1
    judged = judge(MINUTES, quiet, [], traded=Ranges.of([(noon - HOUR_US, noon)]))
    assert judged.covered == Ranges.of_windows([quiet])
    other_day = Ranges.of([(noon - DAY_US, noon - DAY_US // 2)])
    assert len(judge(MINUTES, quiet, [], traded=other_day).missing) == 1


def test_a_day_is_not_excused_by_its_loaded_evening() -> None:
    """A daily bar has one stamp: coverage behind it says nothing about the bar."""
    day = Window.of_us(4 * DAY_US, 4 * DAY_US + HOUR_US)
    evening = Ranges.of([(4 * DAY_US + HOUR_US, 5 * DAY_US)])
    assert days(judge(DAYS, day, [], traded=evening).missing) == [4]


def test_an_answer_that_breaks_off_leaves_the_rest_of_its_session_missing() -> None:
    """Bars until 16:00 on Wednesday and nothing after: the rest of it is not known to be quiet."""
    stamps = [day * DAY_US + 15 * HOUR_US for day in (4, 5)] + [6 * DAY_US + 16 * HOUR_US]
    judged = judge(MINUTES, WEEK, stamps, first_bar_ever=0)
    assert days(judged.missing) == [6, 7, 8]
    assert int(judged.missing.starts[0]) == 6 * DAY_US + 16 * HOUR_US + HOUR_US // 60
    closed = MINUTES.expected_units(WEEK).ends
    assert judged.missing.ends.tolist() == closed[2:].tolist()


def test_an_answer_that_begins_in_mid_session_leaves_what_was_before_missing() -> None:
    """Newest first and cut short: the morning of the first session that came is not proven."""
    stamps = [day * DAY_US + 15 * HOUR_US for day in (6, 7, 8)]
    judged = judge(MINUTES, WEEK, stamps, first_bar_ever=0)
    assert days(judged.missing) == [6, 4, 5]
    assert int(judged.missing.ends[0]) == 6 * DAY_US + 15 * HOUR_US


def test_a_listing_at_noon_is_not_broken_off() -> None:
    """Before the first bar ever nothing was listed, and its session began when it began."""
    stamps = [day * DAY_US + 15 * HOUR_US for day in (6, 7, 8)]
    judged = judge(MINUTES, WEEK, stamps, first_bar_ever=stamps[0])
    assert len(judged.missing) == 0


def test_the_last_minute_of_a_session_breaks_nothing_off() -> None:
    """A session that came whole is covered, whatever lacks behind it."""
    (last,) = (MINUTES.expected_units(WEEK).ends[2:3] - HOUR_US // 60).tolist()
    judged = judge(MINUTES, WEEK, [4 * DAY_US + 15 * HOUR_US, last], first_bar_ever=0)
    assert days(judged.missing) == [5, 7, 8]


def test_a_session_whose_rows_were_refused_is_not_silent() -> None:
    """Rows that cannot be stored are no proof of a day without trading."""
    stamps = [day * DAY_US for day in (4, 5, 8)]
    judged = judge(DAYS, WEEK, stamps, first_bar_ever=0, refused=[6 * DAY_US, 5 * DAY_US])
    assert (days(judged.missing), days(judged.refused)) == ([7], [6])
    assert not judged.covered.contains(6 * DAY_US)


def test_nobody_expects_the_session_of_a_day_on_which_an_instrument_is_gone() -> None:
    """Silence about sessions outside the labels is covered, not missing."""
    judged = judge(DAYS, WEEK, [4 * DAY_US], labels=Ranges.of([(0, 6 * DAY_US)]))
    assert days(judged.missing) == [5]


def test_quiet_hours_around_the_session_are_no_gap() -> None:
    """Of extended hours an evening without a trade is covered, a day without one is missing."""
    extended = expectation_for(
        venue="XNYS", timeframe=Timeframe.M1, hours=Hours.EXTENDED, anchor=Anchor.OPEN
    )
    evening = Window(datetime(2024, 1, 17, 21, tzinfo=UTC), datetime(2024, 1, 18, 1, tzinfo=UTC))
    judged = judge(extended, evening, [])
    assert len(judged.missing) == 0
    assert judged.covered == Ranges.of_windows([evening])
    day = Window(datetime(2024, 1, 17, 5, tzinfo=UTC), evening.end)
    assert len(judge(extended, day, []).missing) == 1
    # One trade at noon, and the hours around it are only quiet.
    noon = to_us(datetime(2024, 1, 17, 17, tzinfo=UTC))
    assert judge(extended, day, [noon]).covered == Ranges.of_windows([day])
