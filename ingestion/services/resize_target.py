"""Change how many bars a target gets in one delivery."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.services.declare_target import check_batch_size
from ingestion.store import audit, targets


def resize_target(name: str, *, batch_size: int, actor: Actor, reason: str = "") -> None:
    """Set the batch size; a delivery that failed is composed anew. Raises UnknownTarget."""
    check_batch_size(batch_size)
    with transaction.atomic():
        target = targets.lock_target(name)
        targets.set_batch_size(target.id, batch_size=batch_size)
        audit.record(
            actor=actor,
            action="target.resize",
            object_type="target",
            object_id=target.name,
            before={"batch_size": target.batch_size},
            after={"batch_size": batch_size},
            reason=reason,
        )
