"""List what people and processes did to a job."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.errors import UnknownJob
from ingestion.store import job_reads
from ingestion.store.job_reads import EventRow


def list_events(job_id: int, *, after_id: int = 0, limit: int = 200) -> tuple[EventRow, ...]:
    """Return the acts on a job, oldest first; raises UnknownJob."""
    with transaction.atomic():
        if job_reads.select_spec(job_id) is None:
            raise UnknownJob(job_id)
        return tuple(job_reads.select_events(job_id, after_id=after_id, limit=limit))
