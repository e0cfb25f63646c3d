"""Ask a job to pause."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.states import Desired, JobState, check_transition
from ingestion.services.settle_job import settle_locked
from ingestion.store import jobs


def pause_job(job_id: int, *, actor: Actor, reason: str = "") -> JobState:
    """Ask for a pause; a job without leases is paused at once, others at the batch boundary.

    Raises UnknownJob, or ForbiddenTransition for a draft or an ended job.
    """
    with transaction.atomic():
        job = jobs.lock_job(job_id)
        if job.state is JobState.PAUSED:
            return job.state
        check_transition(job.state, JobState.PAUSED)
        jobs.set_desired(job, Desired.PAUSE, actor=actor, reason=reason)
        return settle_locked(jobs.lock_job(job_id), actor=actor)
