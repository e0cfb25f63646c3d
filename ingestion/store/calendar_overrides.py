"""Keep what people declare of venues' sessions; append-only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection as default_connection

from ingestion.domain.actor import Actor
from ingestion.domain.overrides import Override, OverrideKind
from ingestion.models import CalendarOverride
from ingestion.store.series_reads import Connection

_LOCK_CLASS: Final = 7302


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """Hold one statement with who made it, why and when."""

    id: int
    override: Override
    reason: str
    declared_by: str
    declared_at: datetime
    source: str


def lock_calendars() -> None:
    """Let nobody else change a calendar until the transaction ends: ids are revisions, in order."""
    with default_connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [_LOCK_CLASS])


def insert_statements(stated: Sequence[tuple[Override, str]], *, actor: Actor) -> None:
    """Add statements, each with its reason, in their order; the caller holds the lock."""
    CalendarOverride.objects.bulk_create(
        CalendarOverride(
            venue=one.venue,
            session=one.session,
            kind=one.kind,
            opens_at=one.opens_at,
            closes_at=one.closes_at,
            reason=reason,
            declared_by=actor.name,
            source=actor.source,
        )
        for one, reason in stated
    )


def list_statements(*, venue: str | None = None) -> list[OverrideRow]:
    """Return every statement, or those about one venue, in the order they were made."""
    rows = CalendarOverride.objects.order_by("id")
    if venue is not None:
        rows = rows.filter(venue=venue)
    return [
        OverrideRow(
            id=row.id,
            override=Override(
                row.venue, row.session, OverrideKind(row.kind), row.opens_at, row.closes_at
            ),
            reason=row.reason,
            declared_by=row.declared_by,
            declared_at=row.declared_at,
            source=row.source,
        )
        for row in rows
    ]


def read_revision(connection: Connection = default_connection) -> int:
    """Return the revision of all calendars: the last statement's id, 0 before the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM calendar_override")
        row = cursor.fetchone()
    assert row is not None  # an aggregate without GROUP BY always answers
    return int(row[0])


def read_statements(*, until: int, connection: Connection = default_connection) -> list[Override]:
    """Return every statement up to a revision, in the order they were made."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT venue, session, kind, opens_at, closes_at FROM calendar_override"
            " WHERE id <= %s ORDER BY id",
            [until],
        )
        return [
            Override(venue, session, OverrideKind(kind), opens_at, closes_at)
            for venue, session, kind, opens_at, closes_at in cursor.fetchall()
        ]
