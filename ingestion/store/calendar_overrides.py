"""Keep what people declare of venues' sessions; append-only.

Names no model: scripts that only read bars need calendars, and no Django app.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection as default_connection

from ingestion.domain.actor import Actor
from ingestion.domain.overrides import Override, OverrideKind
from ingestion.store.series_reads import Connection

_LOCK_CLASS: Final = 7305


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
    with default_connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO calendar_override (venue, session, kind, opens_at, closes_at, reason,"
            " declared_by, source) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    *(one.venue, one.session, one.kind.value, one.opens_at, one.closes_at),
                    *(reason, actor.name, actor.source),
                )
                for one, reason in stated
            ],
        )


def list_statements(*, venue: str | None = None) -> list[OverrideRow]:
    """Return every statement, or those about one venue, in the order they were made."""
    with default_connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, venue, session, kind, opens_at, closes_at, reason, declared_by,"
            " declared_at, source FROM calendar_override"
            " WHERE %(venue)s::text IS NULL OR venue = %(venue)s ORDER BY id",
            {"venue": venue},
        )
        return [
            OverrideRow(number, Override(of, day, OverrideKind(kind), opens, closes), *told)
            for number, of, day, kind, opens, closes, *told in cursor.fetchall()
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
