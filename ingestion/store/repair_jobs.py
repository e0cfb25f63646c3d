"""Open the job that fetches a whole series again, as one more of the kind that met the need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import orjson
from django.db import connection

from ingestion.domain.actor import SYSTEM
from ingestion.domain.spec import HISTORICAL_PRIORITY, JobSpec
from ingestion.domain.states import JobKind, JobState, Workload
from ingestion.domain.windows import Window
from ingestion.models import Job
from ingestion.store import audit

# All that was ever known of a series: bars that nobody's coverage speaks of, too.
_EXTENT: Final = """
SELECT least(lower(known.hull), (SELECT min(ts) FROM bar WHERE series_id = %(series)s)),
       greatest(upper(known.hull), (SELECT max(ts) FROM bar WHERE series_id = %(series)s)
                                   + interval '1 microsecond')
FROM (SELECT 1) always
LEFT JOIN (SELECT range_merge(loaded + doubted) AS hull FROM coverage
           WHERE series_id = %(series)s) known ON true
"""

_TEMPLATE: Final = """
SELECT j.account_id, j.tries, j.max_concurrency, j.max_slices_per_round, j.retry_class,
       j.retry_delay, j.validate, j.targets, (j.spec - 'series')::text,
       (SELECT e::text FROM jsonb_array_elements(j.spec -> 'series') e
        WHERE (e ->> 'series_id')::int = %s LIMIT 1)
FROM job j WHERE j.id = %s
"""


@dataclass(frozen=True, slots=True)
class Served:
    """Say what a provider serves of a series: nothing before `first`, slices of `span`."""

    first: datetime | None
    span: timedelta


def last_job(series_id: int) -> int | None:
    """Return the job that last fetched a series."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.job_id FROM attempt a JOIN job j ON j.id = a.job_id"
            " WHERE a.series_id = %s ORDER BY a.id DESC LIMIT 1",
            [series_id],
        )
        row = cursor.fetchone()
    return int(row[0]) if row else None


def open_whole_repair(
    series_id: int, *, like: int, besides: Window | None, served: Served, reason: str
) -> int | None:
    """Queue a repair of all that is stored of a series, and of `besides`, in this transaction.

    It does as the job `like` did, at the priority of repairs, but means all of the series and
    nothing beyond the provider's reach. None where that job knows nothing of the series, or where
    nothing can be asked for.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TEMPLATE, [series_id, like])
        template = cursor.fetchone()
    if template is None or template[9] is None:
        return None
    data = {**orjson.loads(template[8]), "series": [orjson.loads(template[9])]}
    frozen = JobSpec.from_json(data)
    (series,) = frozen.series
    asked = Window(series.start, series.end) if series.start and series.end else None
    window = _hull([extent(series_id), asked, besides], not_before=served.first)
    if window is None:
        return None
    spec = JobSpec(
        provider=frozen.provider,
        series=(
            replace(
                series,
                start=window.start,
                end=window.end,
                span=served.span,
                only=(),
                sample=None,
            ),
        ),
        start=window.start,
        end=window.end,
        rate_limit=None,
    )
    job = Job.objects.create(
        workload=Workload.HISTORICAL.value,
        kind=JobKind.REPAIR.value,
        state=JobState.QUEUED.value,
        priority=HISTORICAL_PRIORITY[JobKind.REPAIR],
        account_id=template[0],
        tries=template[1],
        max_concurrency=template[2],
        max_slices_per_round=template[3],
        retry_class=template[4],
        retry_delay=template[5],
        validate=template[6],
        targets=template[7],
        spec=spec.to_json(),
    )
    audit.record(
        actor=SYSTEM,
        action="job.open",
        object_type="job",
        object_id=job.pk,
        after={"state": job.state, "kind": job.kind, "workload": job.workload},
        reason=reason,
    )
    return int(job.pk)


def extent(series_id: int) -> Window | None:
    """Return from where to where anything is stored or was ever loaded of a series."""
    with connection.cursor() as cursor:
        cursor.execute(_EXTENT, {"series": series_id})
        start, end = cursor.fetchone()
    return Window(start, end) if start is not None and start < end else None


def _hull(windows: Sequence[Window | None], *, not_before: datetime | None) -> Window | None:
    known = [one for one in windows if one]
    if not known:
        return None
    start, end = min(one.start for one in known), max(one.end for one in known)
    start = max(start, not_before) if not_before else start
    return Window(start, end) if start < end else None


def holds_whole_series(job_id: int, series_id: int) -> bool:
    """Tell whether a completed job brought a series anew without a rest.

    A bar from before what it asked for, or that is in doubt still, stands on the basis from before.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT j.state = 'completed' AND isempty(c.doubted)"
            "   AND NOT EXISTS (SELECT 1 FROM bar b WHERE b.series_id = %(series)s"
            "                   AND b.ts < (j.spec ->> 'start')::timestamptz)"
            " FROM job j JOIN coverage c ON c.series_id = %(series)s WHERE j.id = %(job)s",
            {"job": job_id, "series": series_id},
        )
        row = cursor.fetchone()
    return bool(row and row[0])
