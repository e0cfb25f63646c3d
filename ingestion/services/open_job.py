"""Open a job: resolve the request, make its series, and write the one row that is the job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ingestion.calendars import sessions_for
from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.domain.retry import RETRY_CLASSES
from ingestion.domain.spec import (
    DEFAULT_CONCURRENCY,
    DEFAULT_PRIORITY,
    DEFAULT_SLICES_PER_ROUND,
    DEFAULT_TRIES,
    JobRequest,
    JobSpec,
    SeriesSpec,
)
from ingestion.domain.states import JobState
from ingestion.models import Job, RetryClass
from ingestion.services.resolve_request import ResolvedRequest, ResolvedSeries, resolve_request
from ingestion.store import absences, audit, budgets, jobs
from ingestion.store.series import ensure_account, ensure_series
from ingestion.store.venues import ensure_venue_sessions


@dataclass(frozen=True, slots=True)
class OpenedJob:
    """Name the job; `existed` means that the request key had made it before."""

    job_id: int
    state: JobState
    existed: bool


def open_job(
    request: JobRequest,
    *,
    now: datetime,
    actor: Actor,
    egress: str = "default",
    draft: bool = False,
) -> OpenedJob:
    """Open a job, queued or as a draft; a repeated request key returns the first job.

    A person who opens a job has seen to the account: its circuit closes. Raises what
    resolve_request raises.
    """
    resolved = resolve_request(request, now=now)
    if request.retry_class not in RETRY_CLASSES and not _is_user_defined(request.retry_class):
        raise BadRequest(
            f"unknown retry class {request.retry_class!r}; use {', '.join(sorted(RETRY_CLASSES))}"
            " or define it in the admin",
            field="retry_class",
        )
    with transaction.atomic():
        if request.request_key:
            jobs.lock_request_key(request.request_key)
            existing = Job.objects.filter(request_key=request.request_key).first()
            if existing:
                return OpenedJob(existing.id, JobState(existing.state), existed=True)
        account_id = ensure_account(
            request.provider, capabilities=resolved.adapter.capabilities, egress=egress
        )
        if budgets.close_circuit(account_id):
            audit.record(
                actor=actor,
                action="account.close_circuit",
                object_type="account",
                object_id=account_id,
                reason="a new job was opened",
            )
        spec = _freeze(resolved)
        job = Job.objects.create(
            workload=request.workload.value,
            kind=request.kind.value,
            account_id=account_id,
            state=(JobState.DRAFT if draft else JobState.QUEUED).value,
            request_key=request.request_key,
            priority=_or(request.priority, DEFAULT_PRIORITY[request.workload]),
            tries=_or(request.tries, _tries(request.retry_class)),
            max_concurrency=_or(request.max_concurrency, DEFAULT_CONCURRENCY),
            max_slices_per_round=_or(request.slices_per_round, DEFAULT_SLICES_PER_ROUND),
            retry_class=request.retry_class,
            spec=spec.to_json(),
            poll_seconds=request.poll_seconds,
        )
        if request.rate_limit:
            budgets.add_limits([request.rate_limit], account_id=None, job_id=job.id)
        audit.record(
            actor=actor,
            action="job.open",
            object_type="job",
            object_id=job.id,
            after={"state": job.state, "kind": job.kind, "workload": job.workload},
        )
        return OpenedJob(job.id, JobState(job.state), existed=False)


def _freeze(resolved: ResolvedRequest) -> JobSpec:
    request = resolved.request
    for venue in sorted({one.instrument.venue for one in resolved.series}):
        ensure_venue_sessions(sessions_for(venue))
    # Made in one order everywhere, so that two jobs of the same new symbols cannot deadlock.
    made = {one: _freeze_series(resolved, one) for one in sorted(resolved.series, key=_identity)}
    return JobSpec(
        provider=request.provider,
        series=tuple(made[one] for one in resolved.series),
        start=request.start,
        end=request.end,
        rate_limit=request.rate_limit,
    )


def _freeze_series(resolved: ResolvedRequest, one: ResolvedSeries) -> SeriesSpec:
    series_id = ensure_series(
        one.instrument,
        provider=resolved.request.provider,
        timeframe=one.timeframe,
        adjustment=one.adjustment,
        hours=resolved.request.hours,
        anchor=one.anchor,
    )
    if one.beyond:
        absences.prove_beyond_history(series_id=series_id, window=one.beyond)
    return SeriesSpec(
        series_id=series_id,
        symbol=one.instrument.symbol,
        vendor_symbol=one.instrument.vendor_symbol,
        venue=one.instrument.venue,
        timeframe=one.timeframe,
        adjustment=one.adjustment,
        hours=resolved.request.hours,
        anchor=one.anchor,
        span=one.span,
        listed_from=one.instrument.listed_from,
        start=one.window.start if one.window else None,
        end=one.window.end if one.window else None,
    )


def _identity(one: ResolvedSeries) -> tuple[str, str]:
    return one.instrument.symbol, one.timeframe.value


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _tries(retry_class: str) -> int:
    built_in = RETRY_CLASSES.get(retry_class)
    return built_in.tries if built_in else DEFAULT_TRIES


def _is_user_defined(name: str) -> bool:
    return RetryClass.objects.filter(name=name).exists()
