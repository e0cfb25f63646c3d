"""Try the failed slices of a job again, and only those."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import JobNotReplayable
from ingestion.domain.states import Desired, JobState
from ingestion.store import audit, budgets, jobs, slices


def retry_failed(job_id: int, *, actor: Actor, reason: str = "") -> int:
    """Replay every dead slice with all its tries; return how many there were.

    An ended job is queued again. Raises UnknownJob, JobNotReplayable, or ForbiddenTransition for
    a cancelled job.
    """
    with transaction.atomic():
        account_id = jobs.account_of(job_id)
        if budgets.close_circuit(account_id):
            audit.record(
                actor=actor,
                action="account.close_circuit",
                object_type="account",
                object_id=account_id,
                reason=reason or f"job {job_id} is tried again",
            )
        job = jobs.lock_job(job_id)
        if job.state in (JobState.CANCELLED, JobState.DRAFT):
            raise jobs.forbidden(job, JobState.QUEUED)
        replayed = slices.replay_dead(job_id)
        if not replayed:
            raise JobNotReplayable(job_id)
        jobs.never_stale(job_id)
        audit.record(
            actor=actor,
            action="job.retry_failed",
            object_type="job",
            object_id=job_id,
            after={"slices": replayed},
            reason=reason,
        )
        if job.state.is_final:
            if job.desired is not Desired.RUN:
                jobs.set_desired(job, Desired.RUN, actor=actor, reason=reason)
            jobs.move(job, JobState.QUEUED, actor=actor, reason=reason)
            jobs.move(jobs.lock_job(job_id), JobState.RUNNING, actor=actor, reason=reason)
        return replayed
