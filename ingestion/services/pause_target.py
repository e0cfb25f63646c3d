"""Withhold deliveries to a target."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.store import audit, targets


def pause_target(name: str, *, actor: Actor, reason: str = "") -> bool:
    """Pause a target: it goes on collecting, and delivers after resuming; False if it was paused.

    A delivery that is under way ends. Raises UnknownTarget.
    """
    with transaction.atomic():
        target = targets.lock_target(name)
        if not target.enabled:
            return False
        targets.set_enabled(target.id, enabled=False)
        audit.record(
            actor=actor,
            action="target.pause",
            object_type="target",
            object_id=target.name,
            reason=reason,
        )
        return True
