"""Let a realtime job ask for the newest bars, by re-arming its one slice per series."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from ingestion.domain.actor import SYSTEM
from ingestion.domain.spec import SeriesSpec
from ingestion.domain.states import Desired, JobState
from ingestion.domain.windows import MICROSECOND, Window, from_us, to_us
from ingestion.services.raise_realtime_gaps import raise_realtime_gaps
from ingestion.store import jobs, slices
from ingestion.store.coverage import Known, read_known
from ingestion.store.crashpoints import crash_point

_LEAST_BARS = 3


def poll_job(job_id: int, *, now: datetime) -> int:
    """Arm the slices of a due poll; return how many series will be asked.

    A window begins where coverage ends and reaches to the end of the bar that is forming now, at
    most one slice span; what lies further back and lacks is signalled. A series whose last poll is
    still open is left alone.
    """
    with transaction.atomic():
        job = jobs.lock_job(job_id)
        if job.desired is not Desired.RUN or job.poll_seconds is None:
            return 0
        if job.state not in (JobState.QUEUED, JobState.RUNNING):
            return 0
        known = read_known(series.series_id for series in job.spec.series)
        windows = {
            series.series_id: poll_window(
                series, known=known[series.series_id], start=job.spec.start, now=now
            )
            for series in job.spec.series
        }
        armed = sum(
            slices.rearm(
                job_id=job_id, series_id=series_id, account_id=job.account_id, window=window
            )
            for series_id, window in windows.items()
        )
        jobs.set_next_poll(job_id, at=now + timedelta(seconds=job.poll_seconds))
        if job.state is JobState.QUEUED:
            jobs.move(job, JobState.RUNNING, actor=SYSTEM)
        reach = {series_id: window.start for series_id, window in windows.items()}
        raise_realtime_gaps(job, known=known, reach=reach, now=now)
        crash_point("poll.before_commit")
    crash_point("poll.after_commit")
    return armed


def poll_window(series: SeriesSpec, *, known: Known, start: datetime, now: datetime) -> Window:
    """Return what a poll of a series asks for: from the watermark to the end of the forming bar."""
    step = series.timeframe.duration // MICROSECOND
    end_us = (to_us(now) // step + 1) * step
    start_us = min(to_us(start) // step * step, end_us - step)
    settled = known.settled
    # Sessions, weeks and months begin off the epoch's grid: the forming bar may be a step older.
    first_hole = min(settled.watermark(start_us), end_us - 2 * step)
    # The bar before it may have become final only since.
    oldest = end_us - max(series.span // MICROSECOND, _LEAST_BARS * step)
    return Window(from_us(max(first_hole, oldest)), from_us(end_us))
