"""Expectations follow sessions: half days, breaks, anchors, extended hours, DST, long bars."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from ingestion.domain.expectation import Expectation, OutsideCalendar, Units, expect
from ingestion.domain.windows import DAY_US, HOUR_US, MINUTE_US, Window, from_us
from providers.sessions import NO_BREAK, Sessions
from providers.types import Anchor, Hours, Timeframe
from tests.domain.shapes import VENUES, expectations, make_sessions, spans, us


def new_york() -> Sessions:
    """Return a Friday, the Monday after the DST change, and a half day."""
    dates = ("2024-03-08", "2024-03-11", "2024-07-03")
    opens = ("2024-03-08 14:30", "2024-03-11 13:30", "2024-07-03 13:30")
    closes = ("2024-03-08 21:00", "2024-03-11 20:00", "2024-07-03 17:00")
    earliest = ("2024-03-08 09:00", "2024-03-11 08:00", "2024-07-03 08:00")
    latest = ("2024-03-09 01:00", "2024-03-12 00:00", "2024-07-03 21:00")
    return Sessions(
        venue="XNYS",
        tz="America/New_York",
        labels=np.array([us(f"{day} 00:00") for day in dates]),
        opens=np.array([us(moment) for moment in opens]),
        closes=np.array([us(moment) for moment in closes]),
        break_starts=np.full(3, NO_BREAK),
        break_ends=np.full(3, NO_BREAK),
        earliest=np.array([us(moment) for moment in earliest]),
        latest=np.array([us(moment) for moment in latest]),
        always_open=False,
        known_from=us("2024-01-01 00:00"),
        known_until=us("2025-01-01 00:00"),
    )


def shape(
    sessions: Sessions,
    timeframe: Timeframe,
    *,
    hours: Hours = Hours.REGULAR,
    anchor: Anchor = Anchor.OPEN,
) -> Expectation:
    return expect(sessions, timeframe=timeframe, hours=hours, anchor=anchor)


def between(start: str, end: str) -> Window:
    return Window.of_us(us(f"{start} 00:00"), us(f"{end} 00:00"))


def clock(stamps: np.ndarray) -> list[str]:
    return [from_us(stamp).strftime("%d %H:%M") for stamp in stamps.tolist()]


MARCH = between("2024-03-08", "2024-03-12")


class TestIntraday:
    """Sessions are cut into equal bars, from the open or by the clock."""

    def test_an_ordinary_day_has_390_minutes_and_a_half_day_210(self) -> None:
        """The half day is no gap of 180 minutes."""
        minutes = shape(new_york(), Timeframe.M1)
        assert minutes.count_expected_bars(between("2024-03-08", "2024-03-09")) == 390
        assert minutes.count_expected_bars(between("2024-07-03", "2024-07-04")) == 210
        assert minutes.count_expected_bars(between("2024-03-09", "2024-03-11")) == 0

    def test_the_anchor_decides_where_hours_begin(self) -> None:
        """09:30, 10:30 from the open; 09:00, 10:00 by the clock; both over the DST change."""
        by_open = shape(new_york(), Timeframe.H1).expected_stamps(MARCH)
        assert clock(by_open)[:2] == ["08 14:30", "08 15:30"]
        assert clock(by_open)[7:8] == ["11 13:30"]
        by_clock = shape(new_york(), Timeframe.H1, anchor=Anchor.CLOCK).expected_stamps(MARCH)
        assert clock(by_clock)[:2] == ["08 14:00", "08 15:00"]
        assert clock(by_clock)[7:8] == ["11 13:00"]
        assert len(by_open) == len(by_clock) == 14

    def test_four_hours_by_the_clock_follow_local_time(self) -> None:
        """08:00 and 12:00 in New York are other UTC hours after the DST change."""
        bars = shape(new_york(), Timeframe.H4, anchor=Anchor.CLOCK).expected_stamps(MARCH)
        assert clock(bars) == ["08 13:00", "08 17:00", "11 12:00", "11 16:00"]

    def test_a_clock_half_an_hour_off_utc_is_floored_locally(self) -> None:
        """Mumbai opens at 09:15, which is 03:45Z; its 09:00 bar is stamped 03:30Z."""
        mumbai = make_sessions(
            days=[us("2024-03-08 00:00") // DAY_US],
            opens_at=3 * HOUR_US + 45 * MINUTE_US,
            closes_at=10 * HOUR_US,
            tz="Asia/Kolkata",
        )
        bars = shape(mumbai, Timeframe.H1, anchor=Anchor.CLOCK)
        assert clock(bars.promised.stamps(0, 2**62))[:2] == ["08 03:30", "08 04:30"]

    def test_bars_count_anew_after_the_lunch_break(self) -> None:
        """Nothing is expected at lunch, but the session is one unit."""
        day = Window.of_us(4 * DAY_US, 5 * DAY_US)
        hours = shape(VENUES["lunch"], Timeframe.H1)
        assert clock(hours.expected_stamps(day)) == [
            f"05 {stamp}" for stamp in ("00:00", "01:00", "02:00", "03:30", "04:30", "05:30")
        ]
        assert len(hours.expected_units(day)) == 1
        ends = hours.bar_ends(hours.expected_stamps(day))
        assert clock(ends)[2:4] == ["05 02:30", "05 04:30"]

    def test_a_clock_bar_that_spans_the_break_is_expected_once(self) -> None:
        """A break inside one four-hour bar makes no second bar, and the bar ends after it."""
        day = Window.of_us(4 * DAY_US, 5 * DAY_US)
        bars = shape(VENUES["lunch"], Timeframe.H4, anchor=Anchor.CLOCK)
        assert clock(bars.expected_stamps(day)) == ["05 00:00", "05 04:00"]
        assert clock(bars.bar_ends(bars.expected_stamps(day))) == ["05 04:00", "05 06:00"]

    def test_the_last_bar_ends_with_the_session(self) -> None:
        """15:30-16:30 in New York is over at 16:00."""
        bars = shape(new_york(), Timeframe.H1)
        last = bars.expected_stamps(MARCH)[6:7]
        assert clock(last) == ["08 20:30"]
        assert clock(bars.bar_ends(last)) == ["08 21:00"]


class TestExtendedHours:
    """Bars outside the session are accepted in the US, and counted on nowhere."""

    def test_the_grid_widens_and_the_promise_does_not(self) -> None:
        """04:00 and 19:59 in New York are on the grid; 390 minutes are expected."""
        bars = shape(new_york(), Timeframe.M1, hours=Hours.EXTENDED)
        assert bars.count_expected_bars(between("2024-03-08", "2024-03-09")) == 390
        wanted = np.array([us("2024-03-08 09:00"), us("2024-03-09 00:59")])
        assert bars.on_grid(wanted).tolist() == [True, True]
        assert bars.on_grid(wanted + np.array([-1, 1]) * MINUTE_US).tolist() == [False, False]
        assert not shape(new_york(), Timeframe.M1).on_grid(wanted).any()

    def test_after_a_short_session_trading_ends_at_five(self) -> None:
        """17:00 in New York instead of 20:00."""
        bars = shape(new_york(), Timeframe.M1, hours=Hours.EXTENDED)
        stamps = np.array([us("2024-07-03 20:59"), us("2024-07-03 21:00")])
        assert bars.on_grid(stamps).tolist() == [True, False]

    def test_the_unit_spans_the_whole_day_and_needs_the_session(self) -> None:
        """A window that holds only an evening expects nothing."""
        bars = shape(new_york(), Timeframe.M1, hours=Hours.EXTENDED)
        units = bars.expected_units(between("2024-03-08", "2024-03-10"))
        assert clock(units.starts) == ["08 09:00"]
        assert clock(units.ends) == ["09 01:00"]
        assert len(bars.expected_units(between("2024-03-09", "2024-03-10"))) == 0

    def test_elsewhere_extended_is_regular(self) -> None:
        """No calendar tells of more."""
        regular = shape(VENUES["lunch"], Timeframe.M5)
        extended = shape(VENUES["lunch"], Timeframe.M5, hours=Hours.EXTENDED)
        assert np.array_equal(extended.units.starts, regular.units.starts)
        assert np.array_equal(extended.units.ends, regular.units.ends)


class TestLongBars:
    """Daily, weekly and monthly bars are stamped by date and end with their last session."""

    def test_a_day_is_stamped_by_its_label_and_ends_at_the_close(self) -> None:
        """Whatever the DST does, the stamp is midnight UTC."""
        days = shape(new_york(), Timeframe.D1)
        stamps = days.expected_stamps(MARCH)
        assert clock(stamps) == ["08 00:00", "11 00:00"]
        assert clock(days.bar_ends(stamps)) == ["08 21:00", "11 20:00"]

    def test_a_week_is_its_monday_and_a_month_its_first(self) -> None:
        """Also where that day has no session."""
        weeks = shape(new_york(), Timeframe.W1)
        spring = between("2024-03-01", "2024-08-01")
        assert [from_us(s).date().isoformat() for s in weeks.expected_stamps(spring).tolist()] == [
            "2024-03-04",
            "2024-03-11",
            "2024-07-01",
        ]
        months = shape(new_york(), Timeframe.MO1)
        stamps = months.expected_stamps(spring)
        assert clock(stamps) == ["01 00:00", "01 00:00"]
        assert clock(months.bar_ends(stamps)) == ["11 20:00", "03 17:00"]

    def test_a_window_that_begins_after_the_stamp_does_not_expect_the_bar(self) -> None:
        """The week of Monday the 4th is not missing from a window that starts on Friday."""
        weeks = shape(new_york(), Timeframe.W1)
        units = weeks.expected_units(between("2024-03-08", "2024-03-16"))
        assert clock(units.labels) == ["11 00:00"]
        assert clock(units.ends) == ["16 00:00"]


@given(expectations, spans)
def test_every_view_of_a_window_agrees(expectation: Expectation, span: tuple[int, int]) -> None:
    """Stamps, count, grid, ends and units tell one story for any window."""
    window = Window.of_us(*span)
    stamps = expectation.expected_stamps(window)
    assert (np.diff(stamps) > 0).all()
    assert expectation.count_expected_bars(window) == len(stamps)
    assert expectation.on_grid(stamps).all()
    assert ((stamps >= span[0]) & (stamps < span[1])).all()
    assert (expectation.bar_ends(stamps) > stamps).all()
    units = expectation.expected_units(window)
    assert (units.starts < units.ends).all()
    assert (units.starts[1:] >= units.ends[:-1]).all()
    assert ((units.starts >= span[0]) & (units.ends <= span[1])).all()
    assert ((units.full_starts <= units.starts) & (units.full_ends >= units.ends)).all()
    assert expectation.on_grid(units.starts).all()
    held = np.searchsorted(stamps, units.ends) - np.searchsorted(stamps, units.starts)
    assert (held > 0).all()
    assert held.sum() == len(stamps)


@given(expectations, spans)
def test_the_ranks_count_like_the_list(expectation: Expectation, span: tuple[int, int]) -> None:
    """Counting without listing gives the same as listing from the first day."""
    moments = np.array(span)
    listed = expectation.promised.stamps(-(2**60), 2**60)
    assert np.array_equal(expectation.promised.rank(moments), np.searchsorted(listed, moments))


@given(expectations, spans)
def test_the_first_stamp_from_a_moment_on_is_found(
    expectation: Expectation, span: tuple[int, int]
) -> None:
    """Or the largest number there is where no stamp follows."""
    listed = expectation.accepted.stamps(-(2**60), 2**60)
    for at in span:
        following = listed[listed >= at]
        found = expectation.accepted.first_at_or_after(at)
        assert found == (following[0] if len(following) else np.iinfo(np.int64).max)


def test_a_stamp_off_the_grid_ends_one_length_later() -> None:
    """It will be quarantined, but asking for its end is no error."""
    bars = shape(new_york(), Timeframe.M5)
    odd = np.array([us("2024-03-09 12:00"), us("1999-01-01 00:00")])
    assert bars.bar_ends(odd).tolist() == (odd + 5 * MINUTE_US).tolist()
    assert bars.on_grid(np.array([np.iinfo(np.int64).min, 0])).tolist() == [False, False]


def test_a_window_the_calendar_does_not_know_is_refused() -> None:
    """Silence there would prove nothing; the error says what is known."""
    days = shape(new_york(), Timeframe.D1)
    with pytest.raises(OutsideCalendar, match="known from 2024-01-01 until 2025-01-01") as caught:
        days.expected_units(between("2023-12-31", "2024-02-01"))
    assert caught.value.venue == "XNYS"


def test_a_venue_without_sessions_expects_nothing() -> None:
    """Empty calendars make empty answers, not errors."""
    nothing = make_sessions(days=[], opens_at=0, closes_at=1)
    for timeframe in Timeframe:
        bars = shape(nothing, timeframe, anchor=Anchor.CLOCK)
        window = Window.of_us(0, DAY_US)
        assert len(bars.expected_stamps(window)) == len(bars.expected_units(window)) == 0
        assert bars.count_expected_bars(window) == 0
        assert not bars.on_grid(np.array([0])).any()
        assert bars.bar_ends(np.array([0])).tolist() == [bars.accepted.step]


def test_units_melt_into_ranges_and_clip_at_both_edges() -> None:
    """Adjacent sessions are one interval; a clip shortens the outermost ones."""
    units = Units.whole(starts=np.array([0, 10]), ends=np.array([10, 20]), labels=np.array([0, 10]))
    assert units.ranges().pairs() == [(0, 20)]
    clipped = units.clip(5, 15)
    assert clipped.ranges().pairs() == [(5, 15)]
    assert clipped.full_starts.tolist() == [0, 10]
    assert len(units.clip(30, 40)) == 0
    assert units.clip(0, 20) is units
