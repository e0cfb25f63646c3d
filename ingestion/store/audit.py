"""Write the audit ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ingestion.domain.actor import Actor
from ingestion.models import AuditEvent


def record(
    *,
    actor: Actor,
    action: str,
    object_type: str,
    object_id: object,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Add one event in the caller's transaction."""
    AuditEvent.objects.create(
        actor=actor.name,
        source=actor.source,
        action=action,
        object_type=object_type,
        object_id=str(object_id),
        before=before,
        after=after,
        reason=reason,
    )


def record_each(
    *, actor: Actor, action: str, object_type: str, object_ids: Iterable[object], reason: str = ""
) -> None:
    """Add one event per object in the caller's transaction."""
    AuditEvent.objects.bulk_create(
        AuditEvent(
            actor=actor.name,
            source=actor.source,
            action=action,
            object_type=object_type,
            object_id=str(object_id),
            reason=reason,
        )
        for object_id in object_ids
    )
