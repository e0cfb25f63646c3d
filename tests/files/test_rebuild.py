"""Coverage can be had from the bars alone, however they came into the table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from ingestion.domain.actor import Actor
from ingestion.models import AuditEvent, Coverage, EmptyProof, Instrument, MissingSession, Series
from ingestion.services.rebuild_coverage import rebuild_coverage
from ingestion.services.show_coverage import show_coverage

TESTER = Actor(name="tester", source="test")
NOW = datetime(2024, 6, 1, tzinfo=UTC)
CLAIMED = Multirange(
    [Range(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC), "[)")]
)
pytestmark = pytest.mark.django_db


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def make_series(timeframe: str, *, hours: str = "regular") -> Series:
    instrument = Instrument.objects.create(symbol=f"SQL{timeframe}", venue="XNYS")
    return Series.objects.create(
        provider="files:sql",
        instrument=instrument,
        timeframe=timeframe,
        adjustment="raw",
        hours=hours,
        anchor="open",
    )


def write_bars(series: Series, *stamps: datetime) -> None:
    """Write bars as a person with SQL does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bar (series_id, sequence, ts, open, high, low, close, known_from,"
            " attempt_id, final) SELECT %s, 0, ts, 1, 1, 1, 1, now(), 0, true"
            " FROM unnest(%s::timestamptz[]) ts",
            [series.id, list(stamps)],
        )


def loaded(series: Series) -> list[tuple[datetime, datetime]]:
    ranges = Coverage.objects.get(series=series).loaded
    return [(one.lower, one.upper) for one in ranges]


def test_days_with_bars_are_loaded_and_days_without_are_not() -> None:
    """A hole is a hole again, what was explained stays, and what bars disprove goes."""
    series = make_series("1d")
    # Friday, Monday (proven empty), Tuesday (a hole), Wednesday, Thursday (said to be missing).
    write_bars(series, day("2024-03-01"), day("2024-03-06"), day("2024-03-07"))
    Coverage.objects.create(series=series, loaded=CLAIMED)
    EmptyProof.objects.create(
        series=series,
        window=Range(day("2024-03-04"), day("2024-03-05")),
        reason="halted",
        attempt_id=0,
        expires_at=NOW + timedelta(days=30),
    )
    for start in ("2024-03-05", "2024-03-07"):
        MissingSession.objects.create(
            series=series, window=Range(day(start), day(start) + timedelta(days=1)), attempt_id=0
        )

    (rebuilt,) = rebuild_coverage(now=NOW, actor=TESTER, provider="files:sql", reason="restored")

    assert (rebuilt.sessions, rebuilt.empty, rebuilt.changed) == (3, 2, True)
    assert loaded(series) == [
        (day("2024-03-01"), day("2024-03-04")),
        (day("2024-03-06"), day("2024-03-08")),
    ] or loaded(series) == [
        (day("2024-03-01"), day("2024-03-02")),
        (day("2024-03-02"), day("2024-03-04")),
        (day("2024-03-06"), day("2024-03-08")),
    ]
    assert Coverage.objects.get(series=series).first_ts == day("2024-03-01")
    assert [one.window.lower for one in MissingSession.objects.filter(series=series)] == [
        day("2024-03-05")
    ]
    (shown,) = show_coverage(now=NOW, provider="files:sql", end=day("2024-03-08"))
    assert [(gap.kind, gap.units) for gap in shown.report.gaps] == [("missing", 1)]
    event = AuditEvent.objects.get(action="series.rebuild_coverage")
    assert (event.actor, event.reason, event.after["spans"]) == ("tester", "restored", 2)

    (again,) = rebuild_coverage(now=NOW, actor=TESTER, provider="files:sql")
    assert not again.changed
    assert AuditEvent.objects.filter(action="series.rebuild_coverage").count() == 1


def test_sessions_of_minutes_are_loaded_as_a_whole_but_not_into_the_future() -> None:
    """One minute of a session shows that it was written; the running session ends at now."""
    series = make_series("1m", hours="extended")
    write_bars(
        series,
        datetime(2024, 3, 8, 9, 30, tzinfo=UTC),
        datetime(2024, 3, 11, 14, 0, tzinfo=UTC),
    )
    now = datetime(2024, 3, 11, 15, 0, 30, tzinfo=UTC)
    rebuild_coverage(now=now, actor=TESTER, provider="files:sql")
    assert loaded(series) == [
        (datetime(2024, 3, 8, 9, 0, tzinfo=UTC), datetime(2024, 3, 11, 15, 0, tzinfo=UTC))
    ]


def test_a_series_without_bars_has_nothing_loaded() -> None:
    """Whatever coverage had claimed, there is nothing."""
    series = make_series("1d")
    Coverage.objects.create(
        series=series,
        loaded=CLAIMED,
        first_ts=day("2024-01-01"),
    )
    rebuild_coverage(now=NOW, actor=TESTER, provider="files:sql")
    assert loaded(series) == []
    assert Coverage.objects.get(series=series).first_ts is None
