"""Write the audit ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from django.db import connection

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
    *,
    actor: Actor,
    action: str,
    object_type: str,
    object_ids: Iterable[object],
    reason: str = "",
    reasons: Sequence[str] | None = None,
) -> None:
    """Add one event per object in the caller's transaction, in one statement.

    `reasons` gives each its own, in the same order.
    """
    ids = [str(object_id) for object_id in object_ids]
    each = [reason] * len(ids) if reasons is None else reasons
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_event (actor, source, action, object_type, object_id, reason)"
            " SELECT %s, %s, %s, %s, g->>0, g->>1 FROM json_array_elements(%s) AS g",
            [
                actor.name,
                actor.source,
                action,
                object_type,
                orjson.dumps(list(zip(ids, each, strict=True))).decode(),
            ],
        )
