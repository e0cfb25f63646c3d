"""Sessions and venues: the columns that planning stands on, and the dates behind stamps."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.instants import (
    floor_date,
    floor_dates,
    from_us,
    local_dates,
    local_midnight,
    next_date,
    to_us,
    utc_offsets,
)
from providers.sessions import DAY_US, NO_BREAK
from providers.types import Timeframe
from providers.venues import ALIASES, UnknownVenue, load_sessions

ZONES = ("America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
instants = st.integers(-280_000_000, 2_800_000_000).map(
    lambda second: datetime.fromtimestamp(second, UTC)
)


def us(text: str) -> int:
    """Read a UTC instant, in µs."""
    return to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize("venue", ["XNYS", "XHKG", "CMES", "24/7", "24/5", "XTKS"])
def test_columns_are_ordered_and_disjoint(venue: str) -> None:
    """Sessions follow each other, open before they close, and break within."""
    sessions = load_sessions(venue)
    assert len(sessions) > 8000
    assert (np.diff(sessions.labels) > 0).all()
    assert (sessions.labels % DAY_US == 0).all()
    assert (sessions.opens < sessions.closes).all()
    assert (sessions.closes[:-1] <= sessions.opens[1:]).all()
    assert sessions.known_from <= sessions.labels[0] < sessions.labels[-1] < sessions.known_until
    broken = sessions.break_starts != NO_BREAK
    assert (broken == (sessions.break_ends != NO_BREAK)).all()
    assert (sessions.opens < sessions.break_starts)[broken].all()
    assert (sessions.break_starts < sessions.break_ends)[broken].all()
    assert (sessions.break_ends < sessions.closes)[broken].all()
    assert not sessions.labels.flags.writeable


def test_around_the_clock_is_always_open() -> None:
    """24/7 has a session each day that ends where the next begins; 24/5 rests at weekends."""
    crypto = load_sessions("24/7")
    assert crypto.always_open
    assert (crypto.closes[:-1] == crypto.opens[1:]).all()
    assert not load_sessions("24/5").always_open


def test_between_selects_by_label_and_overlapping_by_instant() -> None:
    """An overnight session belongs to the date it is named by."""
    futures = load_sessions("CMES")
    monday = futures.between(us("2024-03-11"), us("2024-03-12"))
    assert monday.labels.tolist() == [us("2024-03-11")]
    assert from_us(int(monday.opens[0])) == datetime(2024, 3, 10, 22, tzinfo=UTC)
    sunday_night = futures.overlapping(us("2024-03-10 23:00"), us("2024-03-10 23:01"))
    assert sunday_night.labels.tolist() == monday.labels.tolist()
    assert len(futures.between(us("2024-03-12"), us("2024-03-11"))) == 0
    assert len(futures.overlapping(us("2024-03-09"), us("2024-03-10"))) == 0


def test_venues_without_a_calendar_of_their_own_share_one() -> None:
    """An alias keeps its name and has the sessions of what it stands for."""
    for alias, name in ALIASES.items():
        if name in ("XNYS", "24/7", "24/5"):
            shared, own = load_sessions(alias), load_sessions(name)
            assert shared.venue == alias
            assert shared.opens.tolist() == own.opens.tolist()
    assert load_sessions("arcx ").venue == "ARCX"
    assert load_sessions("xnys") is load_sessions("XNYS")


def test_an_unknown_venue_says_what_to_use() -> None:
    """The message names kinds of codes that work."""
    with pytest.raises(UnknownVenue, match=r"unknown venue 'XXXX'; use an exchange's MIC") as error:
        load_sessions("XXXX")
    assert error.value.venue == "XXXX"


def test_sessions_agree_with_independent_records(recorded: Path) -> None:
    """Opens, closes and holidays match records that do not come from exchange_calendars.

    CME is left out: the calendar there counts whole days, without the hour of rest.
    """
    checked = 0
    with open(recorded / "calendars" / "sessions.csv", newline="") as file:
        for record in csv.DictReader(file):
            venue = record["mic"].split(" ")[0]
            if venue == "CMES":
                continue
            label = us(record["date"])
            session = load_sessions(venue).between(label, label + DAY_US)
            stated = [
                us(record[name].rstrip("Z"))
                for name in ("open_utc", "close_utc", "break_start_utc", "break_end_utc")
                if record[name]
            ]
            columns = (session.opens, session.closes, session.break_starts, session.break_ends)
            found = [int(column[0]) for column in columns if len(session)]
            assert [instant for instant in found if instant != NO_BREAK] == stated, record
            checked += 1
    assert checked > 2000


@given(instants=st.lists(instants, max_size=20), zone=st.sampled_from(ZONES))
def test_offsets_and_dates_agree_with_zoneinfo(instants: list[datetime], zone: str) -> None:
    """The vectorised conversion gives what Python gives one by one."""
    column = np.array([to_us(instant) for instant in instants], np.int64)
    local = [instant.astimezone(ZoneInfo(zone)) for instant in instants]
    offsets = [(moment.utcoffset() or timedelta()) // timedelta(microseconds=1) for moment in local]
    assert utc_offsets(column, zone).tolist() == offsets
    midnights = [datetime(m.year, m.month, m.day, tzinfo=UTC) for m in local]
    assert local_dates(column, zone).tolist() == [to_us(midnight) for midnight in midnights]


@given(instant=instants)
def test_microseconds_round_trip(instant: datetime) -> None:
    """No bit is lost between datetimes and microseconds."""
    assert from_us(to_us(instant)) == instant


@given(day=st.dates(min_value=date(1970, 1, 1), max_value=date(2059, 1, 1)))
def test_periods_contain_their_days(day: date) -> None:
    """A week starts on its Monday, a month on its first, and the next begins where it ends."""
    stamp = us(day.isoformat())
    monday = floor_date(stamp, Timeframe.W1)
    first = floor_date(stamp, Timeframe.MO1)
    assert from_us(monday).weekday() == 0
    assert monday <= stamp < next_date(monday, Timeframe.W1) == monday + 7 * DAY_US
    assert from_us(first).day == 1
    assert first <= stamp < next_date(first, Timeframe.MO1)
    assert from_us(next_date(first, Timeframe.MO1)).day == 1
    assert floor_dates(np.array([stamp]), Timeframe.D1).tolist() == [stamp]


def test_local_midnight_is_the_start_of_the_date() -> None:
    """New York's date begins at 05:00Z in winter and at 04:00Z in summer."""
    zone = "America/New_York"
    assert local_midnight(us("2024-03-08"), zone) == us("2024-03-08 05:00")
    assert local_midnight(us("2024-03-11"), zone) == us("2024-03-11 04:00")
