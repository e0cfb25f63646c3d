"""Resume a paused schedule: it fires from its next due time on."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.services.fire_locked import fire_locked
from ingestion.store import audit, schedules


def resume_schedule(
    name: str, *, now: datetime, actor: Actor, egress: str = "default", note: str = ""
) -> bool:
    """Resume a schedule and return whether it was paused; its failures are counted anew.

    What came due while it was paused is recorded as paused first, also where nobody fired. Raises
    UnknownSchedule.
    """
    with transaction.atomic():
        row = schedules.lock_named(name)
        if row.paused_at is None:
            return False
        if row.is_due(now):
            fire_locked([row], now=now, egress=egress)
        schedules.set_resumed(row.id, note=note)
        audit.record(
            actor=actor,
            action="schedule.resume",
            object_type="schedule",
            object_id=row.id,
            reason=note,
        )
        return True
