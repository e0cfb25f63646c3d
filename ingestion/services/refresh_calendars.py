"""Let this process know what people declared of venues' sessions."""

from __future__ import annotations

from ingestion.calendars import calendar_revision, use_overrides
from ingestion.domain.overrides import what_holds
from ingestion.store.calendar_overrides import read_all, read_revision


def refresh_calendars() -> int:
    """Push the stored overrides where they changed, and return their revision.

    One query of one row where nothing changed. Call it where a piece of work begins (a task, a
    tick, a command, a page), never amid one: all of it shall see one calendar.
    """
    revision = read_revision()
    if revision != calendar_revision():
        use_overrides(revision, what_holds(read_all(until=revision)))
    return revision
