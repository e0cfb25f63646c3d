"""Read what the tries of a job did, took and waited for, from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from ingestion.domain.coverage import Ranges
from ingestion.store.ranges import to_ranges


@dataclass(frozen=True, slots=True)
class AttemptTotals:
    """Sum the attempts of a job at one series; instants are None where none had begun."""

    attempts: int = 0
    requests: int = 0
    throttled: int = 0
    retries: int = 0
    crashes: int = 0
    rows_in: int = 0
    inserted: int = 0
    unchanged: int = 0
    revised: int = 0
    vanished: int = 0
    quarantined: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None


def total_attempts(job_id: int) -> dict[int, AttemptTotals]:
    """Sum the attempts of a job per series."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT series_id, count(*), sum(requests),"
            " count(*) FILTER (WHERE error_class = 'ThrottledError'),"
            " count(*) FILTER (WHERE outcome = 'retry'),"
            " count(*) FILTER (WHERE outcome = 'crashed'), sum(rows_in), sum(inserted),"
            " sum(unchanged), sum(revised), sum(vanished), sum(quarantined),"
            " min(coalesce(begun_at, leased_at)), max(ended_at)"
            " FROM attempt WHERE job_id = %s GROUP BY series_id",
            [job_id],
        )
        return {row[0]: AttemptTotals(*row[1:]) for row in cursor.fetchall()}


_WAITS = """
WITH tries AS (
    SELECT id, slice_id, waited, leased_at,
           lag(ended_at) OVER one_slice AS before_at,
           lag(outcome) OVER one_slice AS before_outcome,
           lag(error_class) OVER one_slice AS before_error
    FROM attempt WHERE job_id = %s
    WINDOW one_slice AS (PARTITION BY slice_id ORDER BY id)
), waits AS (
    SELECT w.key AS cause, w.value::float8 AS seconds
    FROM tries t, jsonb_each_text(t.waited) w
    UNION ALL
    SELECT CASE WHEN before_error = 'ThrottledError' THEN 'throttled'
                WHEN before_outcome = 'crashed' THEN 'lost worker'
                ELSE 'backoff' END,
           extract(epoch FROM leased_at - before_at)::float8
    FROM tries WHERE before_outcome IN ('retry', 'crashed') AND leased_at > before_at
)
SELECT cause, sum(seconds) FROM waits GROUP BY cause ORDER BY cause
"""


def sum_waits(job_id: int) -> dict[str, float]:
    """Sum the seconds that the slices of a job waited, by cause.

    `budget` and the like are what attempts recorded of themselves; `throttled`, `backoff` and
    `lost worker` lie between a try that failed and the next one.
    """
    with connection.cursor() as cursor:
        cursor.execute(_WAITS, [job_id])
        return {cause: float(seconds) for cause, seconds in cursor.fetchall()}


# A slice that was given back on the way has been read by all that had a part in it.
_LOOKED_AT = """
SELECT a.series_id, range_agg(s."window")
FROM attempt a JOIN slice s ON s.id = a.slice_id
WHERE a.series_id = ANY(%(ids)s) AND a.outcome = 'done' AND a.adapter_version >= %(version)s
  AND NOT EXISTS (SELECT 1 FROM attempt e WHERE e.slice_id = a.slice_id AND e.outcome = 'yielded'
                  AND e.rows_in > 0 AND e.adapter_version < %(version)s)
GROUP BY a.series_id
"""


def looked_at_by(series_ids: Sequence[int], *, version: int) -> dict[int, Ranges]:
    """Return what adapters of at least a version have read of series; those of nothing are absent.

    A poll counts with its newest window alone: that errs towards another look.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOOKED_AT, {"ids": list(series_ids), "version": version})
        return {series_id: to_ranges(windows) for series_id, windows in cursor.fetchall()}


def count_quarantined(job_id: int) -> dict[str, int]:
    """Count the refused rows of a job by reason."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT q.reason, count(*) FROM quarantine q JOIN attempt a ON a.id = q.attempt_id"
            " WHERE a.job_id = %s GROUP BY q.reason ORDER BY q.reason",
            [job_id],
        )
        return dict(cursor.fetchall())
