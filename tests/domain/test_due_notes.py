"""Odd due times say why they are odd; the others say nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ingestion.calendars import sessions_for
from ingestion.domain.due import dues_between
from ingestion.domain.due_notes import noted
from ingestion.domain.rules import parse_rule
from ingestion.domain.windows import HOUR_US, to_us


def notes(
    rule: str, day: str, *, tz: str = "America/New_York", venue: str = "", days: int = 3
) -> dict[str, str]:
    """Return the notes of the due times of some days, by month and day in the zone."""
    parsed = parse_rule(rule)
    sessions = sessions_for(venue) if venue else None
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    dues = dues_between(
        parsed,
        tz=tz,
        sessions=sessions,
        after=start,
        until=start + timedelta(days=days),
        limit=100,
    )
    told = noted(dues, parsed, tz=tz, sessions=sessions, since=start)
    return {f"{due.at:%m-%d}": due.note for due in told}


@pytest.mark.parametrize(
    ("rule", "day", "expected"),
    [
        (
            "cron 30 2 * * *",
            "2026-03-07T12:00",
            "first after the clock went forward 1 h; 02:00 to 03:00 is skipped that night",
        ),
        ("cron 0 3 * * *", "2026-03-07T12:00", "first after the clock went forward 1 h"),
        ("cron 30 1 * * *", "2026-10-31T12:00", "the first of two 01:30"),
        ("cron 30 9 * * *", "2026-10-31T15:00", "first after the clock went back 1 h"),
    ],
)
def test_nights_of_changed_clocks(rule: str, day: str, expected: str) -> None:
    """The night itself is explained; a day later all is as usual, or it is once more said."""
    found = list(notes(rule, day).values())
    assert found[0] == expected
    assert found[2] == ""


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("close + 15 min", {"11-25": "", "11-27": "half day, closes at 13:00"}),
        ("open - 5 min", {"11-25": "", "11-27": ""}),
        ("every 3 h while open", {"11-25": "", "11-27": "half day, closes at 13:00"}),
    ],
)
def test_a_half_day_concerns_what_is_counted_from_the_close(
    rule: str, expected: dict[str, str]
) -> None:
    """The open of a half day is as usual."""
    assert notes(rule, "2026-11-25", venue="XNYS") == expected


def test_a_rule_by_another_clock_than_the_venue_s() -> None:
    """Both clocks are named where both are changed between two due times."""
    found = notes("cron 0 12 * * *", "2026-03-27T13:00", tz="Europe/London", venue="XNYS", days=4)
    assert found["03-29"] == "first after the clock went forward 1 h in Europe/London"
    found = notes("cron 0 12 * * *", "2026-03-07T13:00", tz="UTC", venue="XNYS")
    assert found["03-08"] == "first after the clock went forward 1 h in America/New_York"


def test_a_session_of_its_own() -> None:
    """Bombay trades an hour in the evening of Diwali."""
    sessions = sessions_for("XBOM")
    row = int(np.searchsorted(sessions.labels, to_us(datetime(2026, 11, 25, tzinfo=UTC))))
    evening = replace(
        sessions,
        opens=_with(sessions.opens, row, 9 * HOUR_US),
        closes=_with(sessions.closes, row, 4 * HOUR_US),
        added=sessions.labels[row : row + 1],
    )
    rule = parse_rule("close + 15 min")
    start = datetime(2026, 11, 25, tzinfo=UTC)
    dues = dues_between(
        rule, tz="UTC", sessions=evening, after=start, until=start + timedelta(days=1), limit=9
    )
    told = noted(dues, rule, tz="UTC", sessions=evening, since=start)
    assert [due.note for due in told] == ["special session, 18:15 to 19:30"]


def test_a_halt_is_said_of_rules_that_count_through_it() -> None:
    """While open the halt moves the steps; the close is where it was."""
    sessions = sessions_for("XNYS")
    start = datetime(2026, 11, 25, tzinfo=UTC)
    halt = np.array([to_us(start.replace(hour=16))], np.int64)
    halted = replace(sessions, halt_starts=halt, halt_ends=halt + HOUR_US // 2)
    for text, expected in (
        ("every 2 h while open", {"halted from 11:00 to 11:30"}),
        ("close", {""}),
    ):
        rule = parse_rule(text)
        dues = dues_between(
            rule, tz="UTC", sessions=halted, after=start, until=start + timedelta(days=1), limit=9
        )
        told = noted(dues, rule, tz="UTC", sessions=halted, since=start)
        assert {due.note for due in told} == expected


def _with(column: np.ndarray, row: int, later_us: int) -> np.ndarray:
    changed = column.copy()
    changed[row] += later_us
    return changed
