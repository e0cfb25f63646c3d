"""Read what a job brought to some of its series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """Sum up what one job did for one series.

    `bars` were stored, `refused` rows went to the quarantine; `seconds` is from the first request
    to the last commit; `undone` slices were cancelled; `error` is that of the newest failed slice.
    """

    series_id: int
    bars: int
    refused: int
    revised: int
    requests: int
    slices: int
    failed: int
    undone: int
    error_class: str
    error: str
    seconds: float


_REPORTS = """
SELECT s.series_id, s.rows, coalesce(a.quarantined, 0), coalesce(a.revised, 0),
       coalesce(a.requests, 0), s.slices, s.failed, s.undone, coalesce(s.error_class, ''),
       coalesce(s.error, ''), coalesce(a.seconds, 0)
FROM (
    SELECT series_id, sum(rows)::bigint AS rows, count(*) AS slices,
           count(*) FILTER (WHERE state = 'dead') AS failed,
           count(*) FILTER (WHERE state IN ('ready', 'leased', 'cancelled')) AS undone,
           (array_agg(error_class ORDER BY id DESC) FILTER (WHERE state = 'dead'))[1]
               AS error_class,
           (array_agg(error ORDER BY id DESC) FILTER (WHERE state = 'dead'))[1] AS error
    FROM slice WHERE job_id = %(job)s AND series_id = ANY(%(series)s)
    GROUP BY series_id
) s
LEFT JOIN (
    SELECT series_id, sum(quarantined)::bigint AS quarantined, sum(revised)::bigint AS revised,
           sum(requests)::bigint AS requests,
           extract(epoch FROM max(ended_at) - min(coalesce(begun_at, leased_at)))::float8 AS seconds
    FROM attempt WHERE job_id = %(job)s AND series_id = ANY(%(series)s)
    GROUP BY series_id
) a USING (series_id)
"""


def report_series(job_id: int, *, series_ids: Sequence[int]) -> dict[int, SeriesReport]:
    """Sum up some series of a job; those without any slice are absent."""
    with connection.cursor() as cursor:
        cursor.execute(_REPORTS, {"job": job_id, "series": list(series_ids)})
        return {row[0]: SeriesReport(*row) for row in cursor.fetchall()}
