"""Let this process know what people declared of venues' sessions."""

from __future__ import annotations

import threading

from django.db import connection as default_connection

from ingestion.calendars import calendar_revision, use_overrides
from ingestion.domain.overrides import what_holds
from ingestion.store.calendar_overrides import read_revision, read_statements
from ingestion.store.series_reads import Connection

_PUSHING = threading.RLock()


def refresh_calendars(connection: Connection = default_connection) -> int:
    """Push the stored overrides where they changed, and return their revision.

    One query of one row where nothing changed. Call it where a piece of work begins (a task, a
    tick, a command, a page), never amid one: all of it shall see one calendar.
    """
    known = calendar_revision()
    if read_revision(connection) == known:
        return known
    with _PUSHING:
        # Read again in its turn: a later revision of another thread must not be taken back.
        return push_calendars(connection)


def push_calendars(connection: Connection = default_connection) -> int:
    """Push the stored overrides of this database, whatever was known, and return their revision."""
    revision = read_revision(connection)
    use_overrides(revision, what_holds(read_statements(until=revision, connection=connection)))
    return revision
