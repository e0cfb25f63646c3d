"""Open a job: resolve the request, make its series, and write the one row that is the job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.spec import (
    DEFAULT_CONCURRENCY,
    DEFAULT_SLICES_PER_ROUND,
    JobRequest,
    JobSpec,
    default_priority,
)
from ingestion.domain.states import JobState, Workload
from ingestion.models import Job
from ingestion.services.resolve_request import ResolvedRequest, resolve_request
from ingestion.store import absences, audit, budgets, coverage, jobs
from ingestion.store.retry_classes import load_retry_class
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
    return open_resolved(resolved, now=now, actor=actor, egress=egress, draft=draft)


def open_resolved(
    resolved: ResolvedRequest,
    *,
    now: datetime,
    actor: Actor,
    egress: str = "default",
    draft: bool = False,
) -> OpenedJob:
    """Open a job for a request that is resolved already, whatever series it holds."""
    request = resolved.request
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
        spec = freeze(resolved, now=now)
        job = Job.objects.create(
            workload=request.workload.value,
            kind=request.kind.value,
            account_id=account_id,
            state=(JobState.DRAFT if draft else JobState.QUEUED).value,
            request_key=request.request_key,
            priority=_or(request.priority, default_priority(request.workload, request.kind)),
            tries=_or(request.tries, load_retry_class(request.retry_class).tries),
            max_concurrency=_or(request.max_concurrency, DEFAULT_CONCURRENCY),
            max_slices_per_round=_or(request.slices_per_round, DEFAULT_SLICES_PER_ROUND),
            retry_class=request.retry_class,
            retry_delay=request.retry_delay,
            validate=request.validate,
            targets=None if request.targets is None else list(request.targets),
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


def freeze(resolved: ResolvedRequest, *, now: datetime) -> JobSpec:
    """Make the series, note what lies beyond the provider's history, and write the job down.

    In the caller's transaction.
    """
    request = resolved.request
    for sessions in {
        one.instrument.venue: one.expectation.sessions for one in resolved.series
    }.values():
        ensure_venue_sessions(sessions)
    ids = ensure_series(
        {one.instrument.symbol: one.instrument for one in resolved.series},
        [one.name for one in resolved.series],
        provider=request.provider,
    )
    beyond = {ids[one.name]: one.beyond for one in resolved.series if one.beyond}
    reached = {ids[one.name]: one.window for one in resolved.series if one.window}
    coverage.believe(beyond)
    absences.withdraw_beyond_history(reached)
    absences.prove_beyond_history(beyond)
    windows = list(reached.values())
    start = request.start or min((one.start for one in windows), default=now)
    end = request.end
    if request.workload is Workload.HISTORICAL and end is None:
        end = max((one.end for one in windows), default=now)
    return JobSpec(
        provider=request.provider,
        series=tuple(one.freeze(ids[one.name]) for one in resolved.series),
        start=start,
        end=end,
        rate_limit=request.rate_limit,
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
