"""Keep what people declare of venues' sessions; append-only."""

from __future__ import annotations

from django.db import connection as default_connection

from ingestion.domain.overrides import Override, OverrideKind
from ingestion.store.series_reads import Connection


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
