"""Read what open jobs are still going to fetch of some series, and what ended ones failed at."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from django.db import connection

from ingestion.domain.coverage import Ranges
from ingestion.domain.ensuring import MOST_SLICES_BEYOND, OpenWork
from ingestion.domain.spec import SeriesSpec
from ingestion.domain.windows import Window

# Jobs that nobody has stopped and that wait for no other job, the most urgent first.
_JOBS_LOOKED_AT = 500
_OPEN = """
SELECT j.id FROM job j
WHERE j.state IN ('queued', 'running') AND j.desired = 'run' AND j.workload = 'historical'
  AND j.request IS NULL
  AND NOT EXISTS (SELECT 1 FROM job b
                  WHERE b.id = j.after_id AND b.state IN ('draft', 'queued', 'running', 'paused'))
ORDER BY j.priority DESC, j.id DESC LIMIT %(jobs)s
"""

# Whoever asks in a loop until all is there shall not begin what fails over and over again.
_FAILED = """
SELECT j.id FROM (SELECT * FROM job ORDER BY id DESC LIMIT %(jobs)s) j
WHERE j.state IN ('completed', 'failed') AND j.ended_at > clock_timestamp() - interval '1 minute'
"""

_SLICES = """
SELECT s.job_id, s.series_id, lower(s."window"), upper(s."window"), NULL, {gave_up}
FROM ({jobs}) o
CROSS JOIN unnest(%(ids)s::int[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    AS g(series_id, starts, ends)
JOIN slice s ON s.job_id = o.id AND s.series_id = g.series_id AND s.state IN ({states})
    AND lower(s."window") < g.ends AND upper(s."window") > g.starts
"""
# Of a job that planning has not begun with, all that it means is still to come. One statement sees
# each job either before it was planned or with its slices, never between the two.
_WORK = f"""
{_SLICES.format(jobs=_OPEN, states="'ready', 'leased'", gave_up="false")}
UNION ALL
{_SLICES.format(jobs=_FAILED, states="'dead'", gave_up="true")}
UNION ALL
SELECT j.id, (e.one->>'series_id')::int, NULL, NULL, e.one::text, false
FROM job j JOIN ({_OPEN}) o ON o.id = j.id
CROSS JOIN LATERAL jsonb_array_elements(j.spec->'series') AS e(one)
WHERE j.state = 'queued' AND NOT j.planned AND j.plan_cursor IS NULL
  AND (e.one->>'series_id')::int = ANY(%(ids)s)
"""

_SIZES = """
SELECT j.id, j.priority,
       CASE WHEN j.state = 'queued' AND NOT j.planned THEN (
           SELECT sum(ceil(extract(epoch FROM (e.one->>'end')::timestamptz
                                              - (e.one->>'start')::timestamptz)
                           / (e.one->>'span_seconds')::float8))
           FROM jsonb_array_elements(j.spec->'series') AS e(one))
       ELSE (SELECT count(*) FROM (
           SELECT 1 FROM slice s WHERE s.job_id = j.id AND s.state IN ('ready', 'leased')
           LIMIT %(at_most)s + n.near) c)
       END::int, n.near
FROM unnest(%(jobs)s::bigint[], %(near)s::int[]) AS n(job_id, near) JOIN job j ON j.id = n.job_id
"""


def read_open_work(wanted: Mapping[int, Window]) -> list[OpenWork]:
    """Return the jobs that are to fetch something of the series, by id, near the windows.

    With them come those that failed at it within the last minute.
    """
    near: dict[int, dict[int, list[Window]]] = {}
    gave_up: set[int] = set()
    with connection.cursor() as cursor:
        cursor.execute(
            _WORK,
            {
                "jobs": _JOBS_LOOKED_AT,
                "ids": list(wanted),
                "starts": [window.start for window in wanted.values()],
                "ends": [window.end for window in wanted.values()],
            },
        )
        for job_id, series_id, start, end, unplanned, failed in cursor.fetchall():
            of_series = near.setdefault(job_id, {}).setdefault(series_id, [])
            of_series += _meant(unplanned) if unplanned else [Window(start, end)]
            gave_up |= {job_id} if failed else set()
        cursor.execute(
            _SIZES,
            {
                "at_most": MOST_SLICES_BEYOND + 1,
                "jobs": list(near),
                "near": [sum(map(len, of_job.values())) for of_job in near.values()],
            },
        )
        return [
            OpenWork(
                job_id=job_id,
                priority=priority,
                slices=slices,
                near=count,
                windows={key: Ranges.of_windows(some) for key, some in near[job_id].items()},
                gave_up=job_id in gave_up,
            )
            for job_id, priority, slices, count in cursor.fetchall()
        ]


def _meant(element: str) -> list[Window]:
    return SeriesSpec.from_json(orjson.loads(element)).meant()
