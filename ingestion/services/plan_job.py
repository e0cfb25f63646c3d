"""Plan a job: turn what is expected and neither stored nor explained into slices."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ingestion.calendars import expectation_for
from ingestion.domain.actor import SYSTEM
from ingestion.domain.coverage import Ranges
from ingestion.domain.errors import MdcError
from ingestion.domain.expectation import OutsideCalendar
from ingestion.domain.slicing import SlicePlan, plan_slices
from ingestion.domain.spec import SeriesSpec
from ingestion.domain.states import Desired, JobKind, JobState
from ingestion.domain.windows import Window
from ingestion.store import jobs, slices
from ingestion.store.coverage import loaded_and_explained
from ingestion.store.crashpoints import crash_point
from providers.venues import UnknownVenue

SLICES_PER_TRANSACTION = 2000
READY_HIGH_WATER = 20_000
READY_LOW_WATER = 10_000
_PLANNABLE = frozenset({JobState.QUEUED, JobState.RUNNING})


def plan_job(
    job_id: int, *, max_transactions: int = 10, high_water: int = READY_HIGH_WATER
) -> bool:
    """Plan on from the job's cursor; return whether the plan is complete.

    Stops early at `high_water` ready slices; the tick comes back when they run low. Raises
    UnknownJob.
    """
    for _ in range(max_transactions):
        done, goes_on = _plan_once(job_id, high_water=high_water)
        crash_point("plan.after_commit")
        if done or not goes_on:
            return done
    return False


def _plan_once(job_id: int, *, high_water: int) -> tuple[bool, bool]:
    """Plan one transaction's worth; return whether all is planned, and whether to go on."""
    with transaction.atomic():
        job = jobs.lock_job(job_id)
        if job.planned or job.state not in _PLANNABLE or job.desired is not Desired.RUN:
            return job.planned, False
        if jobs.count_ready(job_id, at_most=high_water) >= high_water:
            return False, False
        at = job.plan_cursor or {"series": 0, "from": None}
        index, resume = int(at["series"]), at["from"]
        found: list[tuple[int, Window]] = []
        while index < len(job.spec.series) and len(found) < SLICES_PER_TRANSACTION:
            series = job.spec.series[index]
            room = SLICES_PER_TRANSACTION - len(found)
            plan = plan_series(series, kind=job.kind, resume=resume)
            windows = list(plan.windows()) if len(plan) <= room else _first(plan, room)
            found.extend((series.series_id, window) for window in windows)
            if len(plan) > room:
                resume = windows[-1].end.isoformat()
            else:
                index, resume = index + 1, None
        if found:
            slices.insert_slices(job_id=job_id, account_id=job.account_id, slices=found)
        planned = index >= len(job.spec.series)
        jobs.save_plan(
            job_id,
            cursor_at=None if planned else {"series": index, "from": resume},
            planned=planned,
        )
        if job.state is JobState.QUEUED:
            jobs.move(job, JobState.RUNNING, actor=SYSTEM)
        crash_point("plan.before_commit")
    return planned, not planned


def plan_series(series: SeriesSpec, *, kind: JobKind, resume: str | None = None) -> SlicePlan:
    """Cut what one series of a job still lacks; reconciliations lack everything."""
    expectation = expectation_for(
        venue=series.venue, timeframe=series.timeframe, hours=series.hours, anchor=series.anchor
    )
    wanted = _wanted(series, resume=resume)
    if wanted is None:
        return plan_slices(missing=Ranges.empty(), span=series.span, expectation=expectation)
    missing = Ranges.of_windows([wanted])
    if kind is not JobKind.RECONCILE:
        missing = missing.subtract(loaded_and_explained(series.series_id, wanted))
    return plan_slices(missing=missing, span=series.span, expectation=expectation)


def _wanted(series: SeriesSpec, *, resume: str | None) -> Window | None:
    if series.start is None or series.end is None:
        return None
    start = datetime.fromisoformat(resume) if resume else series.start
    if series.listed_from:
        start = max(start, series.listed_from)
    return Window(start, series.end) if start < series.end else None


def _first(plan: SlicePlan, room: int) -> list[Window]:
    head = SlicePlan(starts=plan.starts[:room], ends=plan.ends[:room], bars=plan.bars[:room])
    return list(head.windows())


def plan_or_fail(job_id: int) -> bool:
    """Plan a job; one that cannot be planned fails with the sentence that says why."""
    try:
        return plan_job(job_id)
    except (MdcError, UnknownVenue, OutsideCalendar) as error:
        _fail(job_id, error)
        return False


def _fail(job_id: int, error: Exception) -> None:
    with transaction.atomic():
        job = jobs.lock_job(job_id)
        if job.state in _PLANNABLE:
            jobs.move(
                job,
                JobState.FAILED,
                actor=SYSTEM,
                error_class=type(error).__name__,
                error=str(error),
            )
