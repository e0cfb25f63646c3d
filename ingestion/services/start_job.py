"""Start a draft."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.states import JobState
from ingestion.store import jobs


def start_job(job_id: int, *, actor: Actor, reason: str = "") -> JobState:
    """Queue a draft; raises UnknownJob, or ForbiddenTransition for a job that is no draft."""
    with transaction.atomic():
        job = jobs.lock_job(job_id)
        if job.state is not JobState.DRAFT:
            raise jobs.forbidden(job, JobState.QUEUED)
        jobs.move(job, JobState.QUEUED, actor=actor, reason=reason)
        return JobState.QUEUED
