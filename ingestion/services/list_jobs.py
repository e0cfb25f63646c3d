"""List jobs, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from ingestion.domain.states import JobState
from ingestion.store import job_reads
from ingestion.store.job_reads import JobRow, SliceTally


@dataclass(frozen=True, slots=True)
class ListedJob:
    """Hold one job with the tally of its slices."""

    job: JobRow
    slices: SliceTally


def list_jobs(
    *,
    states: Sequence[JobState] | None = None,
    provider: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> tuple[ListedJob, ...]:
    """Return at most `limit` jobs that pass every filter given.

    `before_id` is the number of the last job of the page before.
    """
    with transaction.atomic():
        jobs = job_reads.select_jobs(
            states=states, provider=provider, before_id=before_id, limit=limit
        )
        tallies = job_reads.tally_jobs([job.id for job in jobs])
    return tuple(ListedJob(job, tallies.get(job.id, SliceTally())) for job in jobs)


def list_failed_jobs(*, limit: int = 1000) -> tuple[int, ...]:
    """Return the numbers of the jobs that hold failed slices, oldest first."""
    return tuple(job_reads.jobs_with_failures(limit=limit))
