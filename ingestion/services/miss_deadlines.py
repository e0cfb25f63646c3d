"""Say of jobs that are still at work that they should have ended by now."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from ingestion.domain.actor import SYSTEM
from ingestion.store import audit, deadlines, signals
from ingestion.store.signals import NewSignal

SIGNAL: Final = "deadline_missed"
JOBS_PER_ROUND: Final = 500


def miss_deadlines(*, now: datetime) -> int:
    """Mark, audit and signal the open jobs whose deadline has passed, each once; count them.

    The job goes on: a late dataset is better than none.
    """
    with transaction.atomic():
        missed = deadlines.mark_missed(now=now, limit=JOBS_PER_ROUND)
        if not missed:
            return 0
        audit.record_each(
            actor=SYSTEM,
            action="job.deadline_missed",
            object_type="job",
            object_ids=[one.job_id for one in missed],
            reasons=[
                f"should have ended by {one.deadline_at:%Y-%m-%d %H:%M:%S}Z" for one in missed
            ],
        )
        signals.raise_many([_signal(one) for one in missed], actor=SYSTEM, now=now)
    return len(missed)


def _signal(missed: deadlines.Missed) -> NewSignal:
    return NewSignal(
        SIGNAL,
        symbols=missed.symbols,
        timeframe=missed.timeframe,
        evidence={
            "job": missed.job_id,
            "definition": missed.definition,
            "deadline_at": missed.deadline_at.isoformat(),
        },
        reason=f"job {missed.job_id} is still {missed.state} after its deadline",
    )
