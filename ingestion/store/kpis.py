"""Sum what a span of time brought, from the ledgers; each query reads that span alone.

Slots, signals and sessions are dated by the shells' clock (`since`); jobs and attempts by
PostgreSQL's, of which the span is the last `seconds`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

# Answers that ask for a slower pace within so long of each other are one incident.
_ONE_INCIDENT: Final = "60 seconds"


@dataclass(frozen=True, slots=True)
class Lateness:
    """Say how long after their due times slots fired: half of them, and 99 of 100, within."""

    fired: int
    p50: timedelta | None
    p99: timedelta | None


@dataclass(frozen=True, slots=True)
class Ended:
    """Count the jobs of a kind that ended one way: as `complete`, `partial`, or by their state."""

    kind: str
    how: str
    jobs: int


@dataclass(frozen=True, slots=True)
class Work:
    """Sum the attempts of a span."""

    attempts: int = 0
    requests: int = 0
    throttled: int = 0
    failures: int = 0
    inserted: int = 0
    unchanged: int = 0
    revised: int = 0
    vanished: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class Recovery:
    """Count slices of which a try failed, those done since, and how long that took on average."""

    failed: int
    recovered: int
    mean: timedelta | None


@dataclass(frozen=True, slots=True)
class Verified:
    """Count what was found when sessions were fetched again at an age after their close."""

    definition_id: int
    definition: str
    schedule: str
    age: timedelta
    sessions: int
    unchanged: int
    inserted: int
    revised: int
    vanished: int


def count_slots(*, since: datetime) -> dict[str, int]:
    """Count decided slots by disposition."""
    return dict(
        _rows("SELECT disposition, count(*) FROM slot WHERE decided_at >= %s GROUP BY 1", since)
    )


def read_lateness(*, since: datetime) -> Lateness:
    """Measure how late slots fired; those of schedules with jitter are late on purpose."""
    ((fired, quantiles),) = _rows(
        "SELECT count(*),"
        " percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY s.decided_at - s.due)"
        " FROM slot s JOIN schedule c ON c.id = s.schedule_id"
        " WHERE s.decided_at >= %s AND s.disposition = 'fired' AND c.jitter IS NULL",
        since,
    )
    p50, p99 = quantiles or (None, None)
    return Lateness(fired, p50, p99)


def count_signals(*, since: datetime) -> dict[str, int]:
    """Count raised signals by name."""
    return dict(_rows("SELECT name, count(*) FROM signal WHERE raised_at >= %s GROUP BY 1", since))


def count_ended(*, seconds: float) -> list[Ended]:
    """Count jobs that ended, by kind and by how."""
    return [
        Ended(*row)
        for row in _rows(
            "SELECT kind, coalesce(outcome, state), count(*) FROM job"
            " WHERE ended_at >= clock_timestamp() - make_interval(secs => %s)"
            " GROUP BY 1, 2 ORDER BY 1, 2",
            seconds,
        )
    ]


def sum_work(*, seconds: float) -> Work:
    """Sum what attempts asked and brought."""
    (row,) = _rows(
        "SELECT count(*), coalesce(sum(requests), 0),"
        " count(*) FILTER (WHERE error_class = 'ThrottledError'),"
        " count(*) FILTER (WHERE outcome IN ('retry', 'dead', 'crashed')),"
        " coalesce(sum(inserted), 0), coalesce(sum(unchanged), 0), coalesce(sum(revised), 0),"
        " coalesce(sum(vanished), 0), coalesce(sum(quarantined), 0)"
        " FROM attempt WHERE ended_at >= clock_timestamp() - make_interval(secs => %s)",
        seconds,
    )
    return Work(*row)


def count_incidents(*, seconds: float) -> int:
    """Count the times at which a provider asked for a slower pace, however often it said so."""
    ((incidents,),) = _rows(
        "SELECT count(*) FROM ("
        "  SELECT ended_at - lag(ended_at) OVER (PARTITION BY account_id ORDER BY ended_at, id)"
        "    AS apart FROM attempt"
        "  WHERE ended_at >= clock_timestamp() - make_interval(secs => %s)"
        "    AND error_class = 'ThrottledError') t"
        f" WHERE apart IS NULL OR apart > interval '{_ONE_INCIDENT}'",
        seconds,
    )
    return int(incidents)


_RECOVERY: Final = """
WITH failed AS (
    SELECT slice_id, min(ended_at) AS at FROM attempt
    WHERE ended_at >= clock_timestamp() - make_interval(secs => %s)
      AND outcome IN ('retry', 'dead', 'crashed')
    GROUP BY slice_id
)
SELECT count(*), count(d.at), avg(d.at - f.at)
FROM failed f CROSS JOIN LATERAL (
    SELECT min(a.ended_at) AS at FROM attempt a
    WHERE a.slice_id = f.slice_id AND a.outcome IN ('done', 'skipped') AND a.ended_at >= f.at) d
"""


def read_recovery(*, seconds: float) -> Recovery:
    """Measure how long it took from the first failed try at a slice until it was done."""
    (row,) = _rows(_RECOVERY, seconds)
    return Recovery(*row)


_VERIFIED: Final = """
SELECT d.id, d.name, c.name, make_interval(secs => (c.rule ->> 'offset_seconds')::float8),
       count(DISTINCT s.id), coalesce(sum(a.unchanged), 0), coalesce(sum(a.inserted), 0),
       coalesce(sum(a.revised), 0), coalesce(sum(a.vanished), 0)
FROM schedule c
JOIN job_definition d ON d.id = c.definition_id
JOIN slot s ON s.schedule_id = c.id AND s.disposition = 'fired' AND s.decided_at >= %(since)s
JOIN job j ON j.slot_id = s.id
LEFT JOIN attempt a ON a.job_id = j.id
WHERE c.action = 'verify' AND (%(ids)s::int8[] IS NULL OR d.id = ANY(%(ids)s))
GROUP BY d.id, c.id ORDER BY d.name, (c.rule ->> 'offset_seconds')::float8, c.name
"""


def count_verified(
    *, since: datetime, definition_ids: Collection[int] | None = None
) -> list[Verified]:
    """Count what verifying found, per definition and age, in that order."""
    ids = None if definition_ids is None else list(definition_ids)
    with connection.cursor() as cursor:
        cursor.execute(_VERIFIED, {"since": since, "ids": ids})
        return [Verified(*row) for row in cursor.fetchall()]


def _rows(query: str, *values: datetime | float) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, list(values))
        return list(cursor.fetchall())
