"""What changed between two times of knowledge, and nothing else, is told bar by bar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ingestion.domain.errors import BadRequest
from ingestion.services.diff_bars import changed_bars, diff_bars
from ingestion.store.bar_history import BarChange, Change, ChangeCounts, Span
from tests.protocol.scene import Worker, day, open_running, sql

pytestmark = pytest.mark.django_db

# Moments of knowledge, all long ago: T[1] < T[2] < ...
T = [datetime(2024, 7, 1, hour, tzinfo=UTC) for hour in range(10)]


@pytest.fixture
def series_id() -> int:
    """Store four daily bars that were known from T[1] on."""
    job = open_running(start=day("2024-01-02"), end=day("2024-01-06"))
    Worker.of(job).work_off()
    sql("UPDATE bar SET known_from = %s", T[1])
    return int(sql("SELECT id FROM series")[0][0])


def revise(stamp: str, close: float, *, at: datetime) -> None:
    """Let a bar have another close from a moment on."""
    _end(stamp, at=at)
    sql("UPDATE bar SET close = %s, known_from = %s WHERE ts = %s", close, at, day(stamp))


def withdraw(stamp: str, *, at: datetime) -> None:
    """Let a bar be gone from a moment on."""
    _end(stamp, at=at)
    sql("DELETE FROM bar WHERE ts = %s", day(stamp))


def _end(stamp: str, *, at: datetime) -> None:
    sql(
        "INSERT INTO bar_revision SELECT ts, known_from, attempt_id, open, high, low, close,"
        " series_id, sequence, final, trades, volume, vwap, %s FROM bar WHERE ts = %s",
        at,
        day(stamp),
    )


def told(earlier: datetime, later: datetime) -> tuple[ChangeCounts, list[BarChange]]:
    """Return the totals of the one series and its bars."""
    span = Span(earlier, later)
    (diff,) = diff_bars(span)
    changes = list(changed_bars(diff, span))
    counts = [sum(one.change is kind for one in changes) for kind in Change]
    assert diff.counts == ChangeCounts(*counts)
    return diff.counts, changes


def test_bars_that_became_known_between_are_added(series_id: int) -> None:
    counts, changes = told(T[0], T[2])
    assert counts == ChangeCounts(added=4)
    assert [one.ts.day for one in changes] == [2, 3, 4, 5]
    assert all(one.old is None and one.new is not None for one in changes)


def test_a_span_in_which_nothing_happened_is_empty(series_id: int) -> None:
    revise("2024-01-03", 1.0, at=T[5])
    assert told(T[2], T[4]) == (ChangeCounts(), [])


def test_a_change_tells_the_first_and_the_last_value_and_none_between(series_id: int) -> None:
    (before,) = sql("SELECT close FROM bar WHERE ts = %s", day("2024-01-03"))
    revise("2024-01-03", 1.0, at=T[3])
    revise("2024-01-03", 2.0, at=T[4])
    revise("2024-01-03", 3.0, at=T[6])
    counts, (change,) = told(T[2], T[5])
    assert counts == ChangeCounts(changed=1)
    assert change.old is not None
    assert change.new is not None
    assert (change.old[3], change.new[3]) == (before[0], 2.0)


def test_a_bar_that_came_back_to_what_it_was_has_not_changed(series_id: int) -> None:
    (before,) = sql("SELECT close FROM bar WHERE ts = %s", day("2024-01-03"))
    revise("2024-01-03", 1.0, at=T[3])
    revise("2024-01-03", before[0], at=T[4])
    assert told(T[2], T[5]) == (ChangeCounts(), [])


def test_a_deleted_bar_is_withdrawn_and_one_that_came_and_went_is_nothing(series_id: int) -> None:
    withdraw("2024-01-04", at=T[3])
    counts, (change,) = told(T[2], T[4])
    assert counts == ChangeCounts(withdrawn=1)
    assert (change.ts, change.new) == (day("2024-01-04"), None)
    assert told(T[0], T[4])[0] == ChangeCounts(added=3)


def test_a_moment_bounds_as_a_read_of_it_does(series_id: int) -> None:
    """What is known from a moment on is known at that moment."""
    assert told(T[0], T[1])[0] == ChangeCounts(added=4)
    assert told(T[1], T[2])[0] == ChangeCounts()


def test_forming_bars_are_not_known(series_id: int) -> None:
    sql("UPDATE bar SET final = false WHERE ts = %s", day("2024-01-05"))
    assert told(T[0], T[2])[0] == ChangeCounts(added=3)


def test_stamps_can_be_bounded(series_id: int) -> None:
    span = Span(T[0], T[2], start=day("2024-01-03"), end=day("2024-01-05"))
    (diff,) = diff_bars(span)
    assert [one.ts.day for one in changed_bars(diff, span)] == [3, 4]


@pytest.mark.parametrize(
    ("earlier", "later", "said"),
    [
        (T[2], T[1], "earlier moment first"),
        (T[2], T[2], "earlier moment first"),
        (T[2], datetime.now(UTC) + timedelta(days=1), "not yet a minute ago"),
    ],
)
def test_moments_that_cannot_be_meant_are_refused(
    earlier: datetime, later: datetime, said: str
) -> None:
    with pytest.raises(BadRequest, match=said):
        diff_bars(Span(earlier, later))
