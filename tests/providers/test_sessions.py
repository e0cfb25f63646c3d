"""Sessions and venues: the columns that planning stands on, and the dates behind stamps."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor
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
from providers.session_kinds import SessionKind, session_kinds
from providers.sessions import DAY_US, NO_BREAK
from providers.types import Timeframe
from providers.venue_rules import ALIASES, VENUES
from providers.venues import KNOWN_FROM, UnknownVenue, UnusableCalendar, load_sessions

ZONES = ("America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
instants = st.integers(-280_000_000, 2_800_000_000).map(
    lambda second: datetime.fromtimestamp(second, UTC)
)


def us(text: str) -> int:
    """Read a UTC instant, in µs."""
    return to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize("venue", [*VENUES, "24/7", "24/5", "XLON", "XSHG"])
def test_columns_are_ordered_and_disjoint(venue: str) -> None:
    """Sessions follow each other, open before they close, and break within."""
    sessions = load_sessions(venue)
    assert len(sessions) > 7000
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
    assert (sessions.earliest <= sessions.opens).all()
    assert (sessions.closes <= sessions.latest).all()
    assert (sessions.latest[:-1] <= sessions.earliest[1:]).all()
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


def session_on(venue: str, day: str) -> list[str]:
    """Return the UTC edges of the session labelled by that day, breaks included; [] if closed."""
    label = us(day)
    found = load_sessions(venue).between(label, label + DAY_US)
    columns = (found.opens, found.closes, found.break_starts, found.break_ends)
    edges = [int(column[0]) for column in columns if len(found)]
    return [from_us(edge).isoformat()[:16] for edge in edges if edge != NO_BREAK]


def kind_on(venue: str, day: str) -> SessionKind:
    """Return the kind of the session labelled by that day."""
    sessions = load_sessions(venue)
    kind: SessionKind = session_kinds(sessions)[np.searchsorted(sessions.labels, us(day))]
    return kind


# On these the recorded sources contradict each other, and a third one decides.
CONTRADICTED = {("CMES", "2025-12-25"): "one source trades through Christmas Day, one is closed"}


def test_a_calendar_that_cannot_be_computed_says_so() -> None:
    """Whoever handles an unknown venue handles this one too."""
    error = UnusableCalendar("ASEX")
    assert isinstance(error, UnknownVenue)
    assert str(error).startswith("the calendar of ASEX cannot be computed")
    assert error.venue == "ASEX"


def test_sessions_agree_with_independent_records(recorded: Path) -> None:
    """Every open, close, break and holiday matches records from elsewhere, CME's rest included."""
    checked = 0
    with open(recorded / "calendars" / "sessions.csv", newline="") as file:
        for record in csv.DictReader(file):
            venue = record["mic"].split(" ")[0]
            if (venue, record["date"]) in CONTRADICTED:
                continue
            stated = [
                record[name][:16]
                for name in ("open_utc", "close_utc", "break_start_utc", "break_end_utc")
                if record[name]
            ]
            assert session_on(venue, record["date"]) == stated, record
            # A day without a session has no kind; the record names the reason for it there.
            if stated:
                assert kind_on(venue, record["date"]) == record["kind"], record
            checked += 1
    assert checked > 2700


@pytest.mark.parametrize(
    ("venue", "day", "edges"),
    [
        # CME's index futures: 16:15 with a halt, 16:00 with a halt, 16:00 without one.
        ("CMES", "2013-10-08", ("07T22:00", "08T21:15", "08T20:15", "08T20:30")),
        ("CMES", "2020-01-06", ("05T23:00", "06T22:00", "06T21:15", "06T21:30")),
        ("CMES", "2024-06-03", ("02T22:00", "03T21:00")),
        ("CMES", "2024-06-19", ("18T22:00", "19T17:00")),
        ("CMES", "2021-04-02", ("01T22:00", "02T13:15")),
        ("CMES", "2021-12-24", ()),
        # Crude oil knows no halt.
        ("XNYM", "2020-01-06", ("05T23:00", "06T22:00")),
        ("XCBO", "2023-06-30", ("30T13:30", "30T20:15")),
        ("XCBO", "2023-07-03", ("03T13:30", "03T17:15")),
        ("XEUR", "2018-12-07", ("07T06:50", "07T21:00")),
        ("XEUR", "2024-06-03", ("03T00:10", "03T20:00")),
        ("XEUR", "2024-12-02", ("02T00:10", "02T21:00")),
        # The session is named by the New York date on which it ends.
        ("FX", "2024-03-11", ("10T21:00", "11T21:00")),
        ("FX", "2024-03-08", ("07T22:00", "08T22:00")),
        ("FX", "2024-03-10", ()),
        ("OANDA", "2014-05-04", ("04T21:00", "05T00:00")),
        ("OANDA", "2014-05-02", ("02T00:00", "02T21:00")),
        ("OANDA", "2014-12-25", ("25T22:00", "26T00:00")),
        ("OANDA", "2015-12-25", ()),
        ("XHKG", "2011-03-04", ("04T02:00", "04T08:00", "04T04:30", "04T06:30")),
        ("XTKS", "2011-11-18", ("18T00:00", "18T06:00", "18T02:00", "18T03:30")),
        ("XTKS", "2024-11-05", ("05T00:00", "05T06:30", "05T02:30", "05T03:30")),
        ("XTAE", "2023-06-04", ("04T06:59", "04T12:40")),
        ("XTAE", "2023-06-02", ()),
        ("XTAE", "2022-04-17", ("17T06:59", "17T11:15")),
        ("XTAE", "2022-05-05", ()),
        ("XTAE", "2026-05-15", ("15T06:59", "15T10:50")),
        ("XTAE", "2026-05-17", ()),
    ],
)
def test_rules_state_hours_where_the_package_has_none(
    venue: str, day: str, edges: tuple[str, ...]
) -> None:
    """Hours that changed, halts and holidays of their own hold on their dates only."""
    found = session_on(venue, day)
    assert [edge[8:] for edge in found] == list(edges)


@pytest.mark.parametrize(
    ("venue", "day", "kind"),
    [
        ("XNYS", "2024-07-03", SessionKind.EARLY_CLOSE),
        # From 15:00 to 15:30: neither the last day of the old hours nor the first of the new.
        ("XTKS", "2024-11-01", SessionKind.NORMAL),
        ("XTKS", "2024-11-05", SessionKind.NORMAL),
        # From 16:15 to 16:00, two weeks after a half day.
        ("CMES", "2015-09-14", SessionKind.NORMAL),
        ("CMES", "2024-06-19", SessionKind.EARLY_CLOSE),
        # Ash Wednesday begins at one o'clock, exam day an hour later from open to close.
        ("BVMF", "2024-02-14", SessionKind.LATE_OPEN),
        ("XKRX", "2019-11-14", SessionKind.SPECIAL),
        ("XKRX", "2019-01-02", SessionKind.LATE_OPEN),
        # Clocks changed in New York and not yet in London: as usual on either's own clock.
        ("XNYS", "2024-03-11", SessionKind.NORMAL),
        ("FX", "2024-03-11", SessionKind.NORMAL),
        ("24/7", "2024-03-31", SessionKind.NORMAL),
    ],
)
def test_kinds_are_told_from_the_sessions_around(venue: str, day: str, kind: SessionKind) -> None:
    """Half days, late opens and days with hours of their own; a change of hours is none."""
    assert kind_on(venue, day) is kind


def test_extended_hours_are_stated_by_the_venue() -> None:
    """New York from 04:00 to 20:00, until 17:00 after a half day; Mumbai from 09:00 to 16:00."""
    label = us("2023-11-24")
    half = load_sessions("ARCX").between(label, label + DAY_US)
    assert [from_us(int(half.earliest[0])).hour, from_us(int(half.latest[0])).hour] == [9, 22]
    label = us("2019-07-09")
    mumbai = load_sessions("XNSE").between(label, label + DAY_US)
    assert int(mumbai.earliest[0]) == us("2019-07-09 03:30")
    assert int(mumbai.latest[0]) == us("2019-07-09 10:30")
    tokyo = load_sessions("XTKS")
    assert tokyo.latest.tolist() == tokyo.closes.tolist()


def test_every_rule_tells_why_and_who_says_so() -> None:
    """A rule without reason or source cannot be judged by the next who meets it."""
    for venue in VENUES.values():
        for rule in (*venue.hours, *venue.days):
            assert rule.reason
            assert rule.source
    assert all(len(code) <= 8 for code in (*ALIASES, *VENUES))


def test_new_york_is_known_since_1960() -> None:
    """General Electric's bars of 1962 have sessions to belong to."""
    assert load_sessions("XNYS").known_from == us(KNOWN_FROM.isoformat())
    assert session_on("XNYS", "1962-01-02")
    assert not session_on("XNYS", "1962-12-25")


def test_threads_may_load_a_venue_at_once() -> None:
    """All of them get the same object."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(load_sessions, ["XWBO"] * 8))
    assert all(sessions is found[0] for sessions in found)


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
