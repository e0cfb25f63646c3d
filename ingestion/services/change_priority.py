"""Let a job go before others, or after them."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest, JobEnded
from ingestion.store import audit, jobs


@dataclass(frozen=True, slots=True)
class PriorityChange:
    """Say what a job's priority was and is."""

    before: int
    after: int


def change_priority(
    job_id: int, *, priority: int, actor: Actor, reason: str = "", only_raise: bool = False
) -> PriorityChange:
    """Set an open job's priority; it holds from the next claim on, and leases are kept.

    With `only_raise` a job that is as urgent already stays as it is. Raises BadRequest, UnknownJob
    or JobEnded.
    """
    if not 0 <= priority <= 255:
        raise BadRequest("a priority is a number from 0 to 255", field="priority")
    with transaction.atomic():
        before, state = jobs.lock_priority(job_id)
        if state.is_final:
            raise JobEnded(job_id, state=state.value, what="its priority concerns nothing any more")
        if priority == before or (only_raise and priority < before):
            return PriorityChange(before, before)
        jobs.set_priority(job_id, priority)
        audit.record(
            actor=actor,
            action="job.change_priority",
            object_type="job",
            object_id=job_id,
            before={"priority": before},
            after={"priority": priority},
            reason=reason,
        )
    return PriorityChange(before, priority)
