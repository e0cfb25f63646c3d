"""Ask a job to end without finishing."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.states import Desired, JobState, check_transition
from ingestion.services.settle_job import settle_locked
from ingestion.store import jobs


def cancel_job(job_id: int, *, actor: Actor, reason: str = "") -> JobState:
    """Ask for cancellation; what is stored stays, what has not begun is dropped.

    Raises UnknownJob, or ForbiddenTransition for an ended job.
    """
    with transaction.atomic():
        job = jobs.lock_job(job_id)
        check_transition(job.state, JobState.CANCELLED)
        jobs.set_desired(job, Desired.CANCEL, actor=actor, reason=reason)
        return settle_locked(jobs.lock_job(job_id), actor=actor)
