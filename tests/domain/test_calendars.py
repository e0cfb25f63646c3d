"""Real calendars agree with sessions recorded elsewhere."""

from __future__ import annotations

import csv
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingestion.calendars import expectation_for, sessions_for
from ingestion.domain.windows import DAY_US, Window, from_us, to_us
from providers.sessions import NO_BREAK, Sessions
from providers.types import Anchor, Hours, Timeframe
from providers.venues import UnknownVenue


@pytest.fixture(scope="module")
def recorded_sessions() -> list[dict[str, str]]:
    folder = os.environ.get("MDC_RECORDED_DIR")
    if not folder:
        pytest.skip("MDC_RECORDED_DIR is not set: recorded session truth is not at hand")
    with (Path(folder) / "calendars" / "sessions.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def stamp(text: str) -> int:
    return NO_BREAK if not text else to_us(datetime.fromisoformat(text))


def as_planned(sessions: Sessions, day: int) -> tuple[int, int, int, int] | None:
    """Return open, close and break of the session labelled by that day, or None."""
    found = sessions.between(day, day + DAY_US)
    if not len(found):
        return None
    columns = (found.opens, found.closes, found.break_starts, found.break_ends)
    return tuple(int(column[0]) for column in columns)


def as_recorded(row: dict[str, str]) -> tuple[int, int, int, int] | None:
    if not row["open_utc"]:
        return None
    columns = ("open_utc", "close_utc", "break_start_utc", "break_end_utc")
    return tuple(stamp(row[column]) for column in columns)


def test_sessions_agree_with_the_recorded_truth(recorded_sessions: list[dict[str, str]]) -> None:
    """Every recorded session, early close, holiday and lunch break, on the dates we know."""
    compared, wrong = 0, []
    for row in recorded_sessions:
        if row["qc_exchange_calendars"].startswith("xc"):
            # CME's early closes and 2013 hours, on which the calendar package is known to differ.
            continue
        sessions = sessions_for(row["mic"].split()[0])
        day = stamp(f"{row['date']}T00:00:00Z")
        if not sessions.known_from <= day < sessions.known_until:
            continue
        compared += 1
        if as_planned(sessions, day) != as_recorded(row):
            wrong.append((row["mic"], row["date"], row["kind"]))
    assert wrong == []
    assert compared > 2400


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


def test_crypto_never_sleeps() -> None:
    """1,440 minutes on a Sunday."""
    minutes = expectation_for(
        venue="24/7", timeframe=Timeframe.M1, hours=Hours.REGULAR, anchor=Anchor.OPEN
    )
    sunday = datetime(2024, 3, 10, tzinfo=UTC)
    assert minutes.count_expected_bars(Window(sunday, sunday.replace(day=11))) == 1440


def test_an_unknown_venue_is_refused() -> None:
    """The error tells what to write instead."""
    with pytest.raises(UnknownVenue, match="XNYS"):
        expectation_for(
            venue="NOWHERE", timeframe=Timeframe.D1, hours=Hours.REGULAR, anchor=Anchor.OPEN
        )
