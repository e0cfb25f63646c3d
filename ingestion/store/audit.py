"""Write the audit ledger."""

from __future__ import annotations

from collections.abc import Mapping
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
