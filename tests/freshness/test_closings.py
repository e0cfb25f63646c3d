"""When sessions are due to be complete, as pure arithmetic over a venue's calendar."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.domain.freshness import Closings, closings, lacks, recheck_at
from ingestion.domain.gaps import Gap, GapKind, GapReport
from ingestion.domain.windows import DAY_US, HOUR_US, MINUTE_US, from_us, to_us
from providers.types import Hours, Timeframe
from providers.venues import load_sessions

TARGET = 20 * MINUTE_US


def at(text: str) -> int:
    """Read an ISO time as µs."""
    return to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


def promised(
    venue: str, timeframe: Timeframe = Timeframe.D1, hours: Hours = Hours.REGULAR
) -> Closings:
    """Return when a venue's bars of one length become complete."""
    return closings(load_sessions(venue), timeframe=timeframe, hours=hours)


def due_between(held: Closings, since: str, until: str, *, at_most: int = 50) -> list[str]:
    """Return the sessions that are due in a span, by date."""
    rows = held.due(since_us=at(since), until_us=at(until), target_us=TARGET, at_most=at_most)
    return [str(from_us(int(label)).date()) for label in held.labels[rows]]


@pytest.mark.parametrize(
    ("venue", "session", "due"),
    [
        ("XNYS", "2024-07-02", "2024-07-02T20:20"),  # summer: 16:00 in New York
        ("XNYS", "2024-07-03", "2024-07-03T17:20"),  # half day: 13:00 in New York
        ("XNYS", "2024-11-04", "2024-11-04T21:20"),  # the Monday after the clocks went back
        ("XTKS", "2024-07-03", "2024-07-03T06:20"),  # a lunch break changes nothing
        ("24/7", "2024-07-06", "2024-07-07T00:20"),  # a Saturday, which ends at midnight
    ],
)
def test_a_session_is_due_a_while_after_its_own_close(venue: str, session: str, due: str) -> None:
    """Half days, clock changes and venues that never close each have their own close."""
    held = promised(venue)
    before = (datetime.fromisoformat(due) - timedelta(minutes=1)).isoformat()
    assert due_between(held, due, due) == [session]
    assert held.next_due(after_us=at(before), target_us=TARGET) == at(due)


def test_longer_bars_are_due_after_the_last_session_of_their_span() -> None:
    """A week that ends with a holiday ends on Thursday; a month on its last session."""
    weeks, months = promised("XNYS", Timeframe.W1), promised("XNYS", Timeframe.MO1)
    # Good Friday 2024 was on March 29: week and month end on the 28th.
    assert due_between(weeks, "2024-03-25T00:00", "2024-04-01T00:00") == ["2024-03-28"]
    assert due_between(months, "2024-03-02T00:00", "2024-04-20T00:00") == ["2024-03-28"]
    week = weeks.due(
        since_us=at("2024-03-25T00:00"),
        until_us=at("2024-04-01T00:00"),
        target_us=TARGET,
        at_most=1,
    )
    assert weeks.starts[week].tolist() == [at("2024-03-25T00:00")]


def test_extended_hours_are_due_after_the_latest_trading() -> None:
    """The last bar of the evening belongs to the session too."""
    held = promised("XNYS", Timeframe.M1, Hours.EXTENDED)
    assert due_between(held, "2024-07-03T00:00", "2024-07-03T20:59") == ["2024-07-02"]
    regular = promised("XNYS", Timeframe.M1)
    assert due_between(regular, "2024-07-03T00:00", "2024-07-03T20:59") == ["2024-07-03"]


def test_after_a_long_downtime_the_newest_sessions_are_chosen() -> None:
    """What is left out lies before, never between."""
    held = promised("XNYS")
    chosen = due_between(held, "2020-01-01T00:00", "2024-01-04T00:00", at_most=3)
    assert chosen == ["2023-12-29", "2024-01-02", "2024-01-03"]


def test_past_the_calendar_nothing_is_due() -> None:
    """Nobody knows when those sessions close."""
    held = promised("XNYS")
    end = int(held.closes[-1]) + TARGET
    assert held.next_due(after_us=end, target_us=TARGET) is None
    assert held.next_due(after_us=end - 1, target_us=TARGET) == end


@settings(max_examples=40, deadline=None)
@given(
    minutes=st.integers(0, 3 * 1440),
    steps=st.lists(st.integers(1, 4 * 1440), min_size=1, max_size=12),
    venue=st.sampled_from(["XNYS", "XTKS", "24/7", "CMES"]),
)
def test_asking_in_steps_judges_each_session_once(
    minutes: int, steps: list[int], venue: str
) -> None:
    """However often is asked, no session is due twice or never."""
    held = promised(venue)
    start = at("2024-10-28T00:00")
    moments = np.cumsum([start, *(step * MINUTE_US for step in steps)]).tolist()
    found: list[int] = []
    for since, until in itertools.pairwise(moments):
        rows = held.due(
            since_us=since + 1, until_us=until, target_us=minutes * MINUTE_US, at_most=1_000
        )
        found += held.labels[rows].tolist()
    dues = held.closes + minutes * MINUTE_US
    expected = held.labels[(dues > moments[0]) & (dues <= moments[-1])].tolist()
    assert found == expected


def test_a_gap_lacks_exactly_the_sessions_that_it_touches() -> None:
    """A hole at the end of one session leaves its neighbours complete."""
    held = promised("XNYS", Timeframe.M1)
    places = held.places({day: at(f"{day}T00:00") for day in ("2024-07-01", "2024-07-02")})
    rows = [places["2024-07-01"], places["2024-07-02"], places["2024-07-02"] + 1]
    some = held.take(rows)
    hole = Gap(at("2024-07-02T19:50"), at("2024-07-02T20:00"), 1, GapKind.MISSING)
    reports = [GapReport(3, 2, 0, (hole,)), GapReport(3, 3, 0, ())]
    assert lacks(reports, some).tolist() == [[False, True, False], [False, False, False]]


def test_a_label_without_session_stands_nowhere() -> None:
    """A Saturday, and days beyond both ends of the calendar."""
    held = promised("XNYS")
    asked = {"sat": at("2024-07-06T00:00"), "old": -10 * 366 * 50 * DAY_US, "late": 10**17}
    assert held.places(asked) == {}


def test_a_breach_is_looked_at_again_less_and_less_often() -> None:
    """Within a minute at first, hourly in the end."""
    now = at("2024-07-03T00:00")
    waits = [recheck_at(due_us=now - age, now_us=now) - now for age in (0, HOUR_US, 30 * DAY_US)]
    assert waits == [MINUTE_US, 6 * MINUTE_US, HOUR_US]
