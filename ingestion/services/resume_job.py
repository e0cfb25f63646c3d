"""Let a job go on from its checkpoint."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.states import Desired, JobState
from ingestion.services.settle_job import settle_locked
from ingestion.store import audit, budgets, jobs, slices


def resume_job(job_id: int, *, actor: Actor, reason: str = "") -> JobState:
    """Resume a job: done slices stay done, the others go on where they stopped.

    A person who resumes has seen to the account, so an open circuit closes; slices in backoff are
    tried at once. Raises UnknownJob, or ForbiddenTransition for a draft or an ended job.
    """
    with transaction.atomic():
        account_id = jobs.account_of(job_id)
        if budgets.close_circuit(account_id):
            audit.record(
                actor=actor,
                action="account.close_circuit",
                object_type="account",
                object_id=account_id,
                reason=reason or f"job {job_id} was resumed",
            )
        job = jobs.lock_job(job_id)
        if job.state is JobState.DRAFT or job.state.is_final:
            raise jobs.forbidden(job, JobState.RUNNING)
        if job.desired is not Desired.RUN:
            jobs.set_desired(job, Desired.RUN, actor=actor, reason=reason)
        slices.make_due(job_id)
        return settle_locked(jobs.lock_job(job_id), actor=actor)
