"""Forget a target."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.store import audit, targets


def remove_target(name: str, *, actor: Actor, reason: str = "") -> int:
    """Remove a target and what is still noted for it; return how many notes that were.

    What it has received stays where it is, and the bar table too. Raises UnknownTarget.
    """
    with transaction.atomic():
        target = targets.lock_to_remove(name)
        forgotten = targets.delete_target(target.id)
        audit.record(
            actor=actor,
            action="target.remove",
            object_type="target",
            object_id=target.name,
            before={"kind": target.kind, "pending": forgotten},
            reason=reason,
        )
    return forgotten
