"""Plan a job: turn what is expected and neither stored nor explained into slices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from ingestion.calendars import expectation_for
from ingestion.domain.actor import SYSTEM
from ingestion.domain.coverage import Ranges
from ingestion.domain.errors import MdcError
from ingestion.domain.expectation import OutsideCalendar
from ingestion.domain.sampling import drawn
from ingestion.domain.slicing import SlicePlan, plan_slices
from ingestion.domain.spec import Named, SeriesSpec
from ingestion.domain.states import Desired, JobKind, JobState
from ingestion.domain.windows import Window, to_us
from ingestion.services.resolve_findings import resolve_findings
from ingestion.services.resolve_job import resolve_job
from ingestion.store import jobs, slices
from ingestion.store.coverage import Known, read_known
from ingestion.store.crashpoints import crash_point
from providers.errors import ProviderError, UnknownProvider
from providers.venues import UnknownVenue

SLICES_PER_TRANSACTION = 2000
READY_HIGH_WATER = 20_000
READY_LOW_WATER = 10_000
_SERIES_READ_AHEAD = 200
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
        known = _Knowledge(job.spec.series)
        while index < len(job.spec.series) and len(found) < SLICES_PER_TRANSACTION:
            series = job.spec.series[index]
            room = SLICES_PER_TRANSACTION - len(found)
            plan = plan_series(series, kind=job.kind, known=known.at(index), resume=resume)
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


class _Knowledge:
    """Read what is known of a job's series, some at a time, as planning comes to them."""

    def __init__(self, series: Sequence[SeriesSpec]) -> None:
        self._series = series
        self._known: dict[int, Known] = {}

    def at(self, index: int) -> Known:
        """Return what is known of the series at a place."""
        series_id = self._series[index].series_id
        if series_id not in self._known:
            ahead = self._series[index : index + _SERIES_READ_AHEAD]
            self._known = read_known(one.series_id for one in ahead)
        return self._known[series_id]


def plan_series(
    series: SeriesSpec, *, kind: JobKind, known: Known, resume: str | None = None
) -> SlicePlan:
    """Cut what one series of a job still lacks; a job that refetches lacks everything.

    No slice reaches from one of the provider's names for the instrument into another.
    """
    expectation = expectation_for(
        venue=series.venue, timeframe=series.timeframe, hours=series.hours, anchor=series.anchor
    )
    # What is drawn of a sample depends on all that it is drawn from.
    missing = _wanted(series, resume=None if series.sample else resume)
    if not kind.refetches:
        missing = missing.subtract(known.settled)
    plan = SlicePlan.join(
        plan_slices(missing=part, span=series.span, expectation=expectation)
        for part in _by_name(missing, named=series.named)
    )
    if series.sample is None:
        return plan
    chosen = drawn(plan.starts, series.sample, series_id=series.series_id)
    if resume:
        chosen &= plan.starts >= to_us(datetime.fromisoformat(resume))
    return plan.take(chosen)


def _by_name(missing: Ranges, *, named: Sequence[Named]) -> list[Ranges]:
    """Split what is missing by the times in which the provider has a name for the instrument."""
    if not named or not len(missing):
        return [missing]
    first, last = int(missing.starts[0]), int(missing.ends[-1])
    return [
        missing.clip(
            max(first, to_us(start) if start else first), min(last, to_us(end) if end else last)
        )
        for start, end in named
        if (start is None or to_us(start) < last) and (end is None or to_us(end) > first)
    ]


def _wanted(series: SeriesSpec, *, resume: str | None) -> Ranges:
    wanted = Ranges.of_windows(series.meant())
    if resume is None or not len(wanted):
        return wanted
    last = int(wanted.ends[-1])
    return wanted.clip(min(to_us(datetime.fromisoformat(resume)), last), last)


def _first(plan: SlicePlan, room: int) -> list[Window]:
    head = SlicePlan(starts=plan.starts[:room], ends=plan.ends[:room], bars=plan.bars[:room])
    return list(head.windows())


def plan_or_fail(job_id: int, *, now: datetime) -> bool:
    """Resolve a job where need be and plan it; return whether the plan is complete.

    One that cannot be resolved or planned fails with the sentence that says why.
    """
    try:
        resolve_job(job_id, now=now)
        return plan_job(job_id)
    except (MdcError, UnknownVenue, OutsideCalendar, UnknownProvider, ProviderError) as error:
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
            resolve_findings(job_id)
