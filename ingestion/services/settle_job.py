"""Settle a job: the last word on where it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from django.db import transaction

from ingestion.domain.actor import SYSTEM, Actor
from ingestion.domain.states import (
    AttemptOutcome,
    Desired,
    JobState,
    Outcome,
    Settlement,
    next_state,
)
from ingestion.services.resolve_findings import resolve_findings
from ingestion.store import attempts, checkpoints, jobs, slices
from ingestion.store.crashpoints import crash_point

# How long after a pause or cancel a request may hang before its lease is taken away.
PATIENCE_SECONDS = 5.0


def settle_job(job_id: int, *, actor: Actor = SYSTEM) -> JobState:
    """Bring a job's state in line with its slices and with what people asked."""
    with transaction.atomic():
        state = settle_locked(jobs.lock_job(job_id), actor=actor)
        crash_point("settle.before_commit")
    crash_point("settle.after_commit")
    return state


def settle_locked(job: jobs.JobRow, *, actor: Actor) -> JobState:
    """Settle a job that the caller's transaction has locked; return its state afterwards."""
    counts = jobs.count_slices(job.job_id)
    if counts.leased and job.desired is not Desired.RUN and job.desired_seconds > PATIENCE_SECONDS:
        _release(job)
        counts = jobs.count_slices(job.job_id)
    settlement = next_state(
        state=job.state, desired=job.desired, planned=job.planned, slices=counts
    )
    if settlement.state is not job.state:
        _enter(job, settlement, actor=actor)
        if settlement.state.is_final:
            resolve_findings(job.job_id)
    return settlement.state


def _lacks(job: jobs.JobRow) -> bool:
    """Tell whether a job whose slices are all settled has left something for another time."""
    return slices.has_given_up(job.job_id) or jobs.has_missing_sessions(job.spec)


def _release(job: jobs.JobRow) -> None:
    """Take the leases away, and leave a trace of each try that was cut off."""
    released = slices.release_leases(job.job_id)
    attempts.insert_attempts(
        [
            replace(
                attempts.AttemptRecord.at(
                    one,
                    attempt_id=number,
                    job_id=job.job_id,
                    account_id=one.account_id,
                    executor_id=one.executor_id,
                    begun_at=one.begun_at,
                    outcome=AttemptOutcome.YIELDED,
                ),
                error_class="LeaseReleased",
                detail={"desired": job.desired.value},
            )
            for one, number in zip(released, attempts.next_attempt_ids(len(released)), strict=True)
        ]
    )


def _enter(job: jobs.JobRow, settlement: Settlement, *, actor: Actor) -> None:
    match settlement.state:
        case JobState.COMPLETED:
            outcome = settlement.outcome
            if outcome is Outcome.COMPLETE and _lacks(job):
                outcome = Outcome.PARTIAL
            checkpoints.close(job.job_id, job.spec.windows())
            jobs.move(job, JobState.COMPLETED, actor=actor, outcome=outcome)
        case JobState.FAILED:
            error_class, error = jobs.first_death(job.job_id)
            jobs.move(job, JobState.FAILED, actor=actor, error_class=error_class, error=error)
        case JobState.CANCELLED:
            slices.cancel_open(job.job_id)
            jobs.move(job, JobState.CANCELLED, actor=actor)
        case JobState.PAUSED | JobState.RUNNING | JobState.QUEUED:
            jobs.move(job, settlement.state, actor=actor)
        case JobState.DRAFT:
            raise AssertionError("nothing settles into a draft")
        case _:
            assert_never(settlement.state)
