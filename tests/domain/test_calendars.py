"""What real venues promise: by day, by the clock, outside their sessions."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from ingestion.calendars import expectation_for, sessions_for
from ingestion.domain.expectation import OutsideCalendar
from ingestion.domain.windows import DAY_US, Window, from_us, to_us
from providers.types import Anchor, Hours, Timeframe
from providers.venues import UnknownVenue


def stamp(text: str) -> int:
    return to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


def minutes_of(venue: str, day: str, *, hours: Hours = Hours.REGULAR) -> int:
    """Count the minutes that a venue promises in the UTC day."""
    expectation = expectation_for(
        venue=venue, timeframe=Timeframe.M1, hours=hours, anchor=Anchor.OPEN
    )
    start = stamp(day)
    return expectation.count_expected_bars(Window(from_us(start), from_us(start + DAY_US)))


def test_the_same_shape_is_the_same_expectation() -> None:
    """Building it once per process serves every slice, also from stored text."""
    typed = expectation_for(
        venue="XNYS", timeframe=Timeframe.M1, hours=Hours.REGULAR, anchor=Anchor.OPEN
    )
    assert typed is expectation_for(venue="XNYS", timeframe="1m", hours="regular", anchor="open")
    assert sessions_for("XNYS") is typed.sessions


def test_new_york_closes_early_after_thanksgiving() -> None:
    """2023-11-24 has 210 minutes, the day before none, the weekend none."""
    minutes = expectation_for(
        venue="XNYS", timeframe=Timeframe.M1, hours=Hours.REGULAR, anchor=Anchor.OPEN
    )
    start = to_us(datetime(2023, 11, 22, tzinfo=UTC))
    counts = [
        minutes.count_expected_bars(
            Window(from_us(start + day * DAY_US), from_us(start + (day + 1) * DAY_US))
        )
        for day in range(6)
    ]
    assert counts == [390, 0, 210, 0, 0, 390]


@pytest.mark.parametrize(
    ("venue", "day", "minutes"),
    [
        ("24/7", "2024-03-10", 1440),
        ("COINBASE", "2024-03-09", 1440),
        # Foreign exchange: Sunday from 17:00 in New York, Friday until then, nothing on Saturday.
        ("FX", "2024-03-10", 3 * 60),
        ("FX", "2024-03-06", 1440),
        ("FX", "2024-03-08", 22 * 60),
        ("FX", "2024-03-09", 0),
        ("OANDA", "2024-03-10", 3 * 60),
        ("OANDA", "2024-03-08", 22 * 60),
        # Lunch breaks, and none in London.
        ("XHKG", "2024-03-08", 330),
        ("XTKS", "2024-03-08", 300),
        ("XTKS", "2024-11-05", 330),
        ("XLON", "2024-03-08", 510),
        # Futures rest an hour a day, and once had a quarter of an hour more.
        ("CMES", "2024-03-06", 23 * 60),
        ("CMES", "2020-01-07", 23 * 60 - 15),
        ("XCBO", "2024-03-08", 405),
    ],
)
def test_a_day_has_the_minutes_its_venue_trades(venue: str, day: str, minutes: int) -> None:
    """Breaks, halts and weekends promise nothing."""
    assert minutes_of(venue, day) == minutes


def test_minutes_outside_the_session_are_accepted_by_extended_series_only() -> None:
    """They are promised by neither; the closing session of Mumbai is one such."""
    pre, regular, after, night = (
        stamp(f"2014-06-05 {clock}") for clock in ("08:00", "13:30", "23:59", "07:59")
    )
    stamps = np.array([pre, regular, after, night])
    for hours, accepted in (
        (Hours.REGULAR, [False, True, False, False]),
        (Hours.EXTENDED, [True, True, True, False]),
    ):
        found = expectation_for(
            venue="XNAS", timeframe=Timeframe.M1, hours=hours, anchor=Anchor.OPEN
        )
        assert found.on_grid(stamps).tolist() == accepted
        assert minutes_of("XNAS", "2014-06-05", hours=hours) == 390
    closing_session = np.array([stamp("2019-07-09 10:10")])
    for hours, accepted in ((Hours.REGULAR, [False]), (Hours.EXTENDED, [True])):
        found = expectation_for(
            venue="XNSE", timeframe=Timeframe.M1, hours=hours, anchor=Anchor.OPEN
        )
        assert found.on_grid(closing_session).tolist() == accepted


@pytest.mark.parametrize(
    ("venue", "day", "hours"),
    [
        ("XNYS", "2020-11-25", ["14:00", "15:00", "16:00", "17:00", "18:00", "19:00", "20:00"]),
        # A half day until 13:00 in New York.
        ("XNYS", "2020-11-27", ["14:00", "15:00", "16:00", "17:00"]),
        # Hong Kong breaks on the hour; Mumbai lives half an hour beside UTC's clock.
        ("XHKG", "2013-10-02", ["01:00", "02:00", "03:00", "05:00", "06:00", "07:00"]),
        (
            "XNSE",
            "2019-07-09",
            ["03:30", "04:30", "05:30", "06:30", "07:30", "08:30", "09:30"],
        ),
        # Tokyo's clock hour of 11:00 ends at the break, 12:00 begins after it.
        ("XTKS", "2024-03-08", ["00:00", "01:00", "02:00", "03:00", "04:00", "05:00"]),
    ],
)
def test_hours_by_the_clock_begin_at_the_full_hour(venue: str, day: str, hours: list[str]) -> None:
    """The row of 09:00 holds what traded from 09:30 to 10:00."""
    expectation = expectation_for(
        venue=venue, timeframe=Timeframe.H1, hours=Hours.REGULAR, anchor=Anchor.CLOCK
    )
    start = stamp(day)
    stamps = expectation.expected_stamps(Window(from_us(start), from_us(start + DAY_US)))
    assert [from_us(one).strftime("%H:%M") for one in stamps.tolist()] == hours


def test_beyond_a_calendar_the_last_known_session_is_named() -> None:
    """Shanghai's holidays are tables that end with a year."""
    expectation = expectation_for(
        venue="XSHG", timeframe=Timeframe.D1, hours=Hours.REGULAR, anchor=Anchor.OPEN
    )
    last = from_us(int(expectation.sessions.labels[-1])).date()
    start = expectation.sessions.known_until
    with pytest.raises(OutsideCalendar, match=f"last known session is {last}"):
        expectation.expected_stamps(Window(from_us(start), from_us(start + DAY_US)))


def test_an_unknown_venue_is_refused() -> None:
    """The error tells what to write instead."""
    with pytest.raises(UnknownVenue, match="XNYS"):
        expectation_for(
            venue="NOWHERE", timeframe=Timeframe.D1, hours=Hours.REGULAR, anchor=Anchor.OPEN
        )
