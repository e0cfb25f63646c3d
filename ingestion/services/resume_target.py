"""Let deliveries to a target go on."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.store import audit, targets


def resume_target(name: str, *, actor: Actor, reason: str = "") -> bool:
    """Resume a target that is paused, has stopped or waits after a failure, and let it try now.

    Returns False where there was nothing to resume. Raises UnknownTarget.
    """
    with transaction.atomic():
        target = targets.lock_target(name)
        if target.enabled and not target.failures:
            return False
        targets.set_enabled(target.id, enabled=True)
        audit.record(
            actor=actor,
            action="target.resume",
            object_type="target",
            object_id=target.name,
            before={"enabled": target.enabled, "failures": target.failures},
            reason=reason,
        )
        return True
