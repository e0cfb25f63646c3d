"""Keep each venue's sessions as rows, so that SQL judges gaps by the planner's calendar."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final

import numpy as np
from django.db import connection
from django.db.backends.utils import CursorWrapper

from ingestion.domain.windows import from_us
from ingestion.store.calendar_overrides import read_revision
from providers.declared import current as declared
from providers.sessions import NO_BREAK, Sessions, Stamps

_SECOND_US: Final = 1_000_000
# Sums over a venue's rows tell in one pass whether any of them moved.
_FINGERPRINT: Final = """
SELECT count(*), coalesce(sum(extract(epoch FROM opens_at)), 0)::int8,
       coalesce(sum(extract(epoch FROM closes_at)), 0)::int8,
       coalesce(sum(extract(epoch FROM break_end) - extract(epoch FROM break_start)), 0)::int8
  FROM venue_session WHERE venue = %s
"""


def ensure_venue_sessions(sessions: Sessions) -> None:
    """Let the stored sessions of a venue be these, also where an earlier release had others.

    A process that knows an older revision of the calendars leaves rows alone that newer ones wrote.
    """
    venue = sessions.venue
    with connection.cursor() as cursor:
        cursor.execute(_FINGERPRINT, [venue])
        stored = cursor.fetchone()
        if stored == _fingerprint(sessions):
            return
        if stored[0]:
            if read_revision() != declared().revision:
                return
            cursor.execute("DELETE FROM venue_session WHERE venue = %s", [venue])
        _insert(cursor, sessions)


def replace_venue_sessions(sessions: Sessions, labels: Stamps) -> None:
    """Let the stored sessions of these dates be those, where the venue has any stored."""
    venue = sessions.venue
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM venue_session WHERE venue = %s)", [venue])
        if not cursor.fetchone()[0]:
            return
        cursor.execute(
            "DELETE FROM venue_session WHERE venue = %s AND label = ANY(%s)",
            [venue, [from_us(label).date() for label in labels.tolist()]],
        )
        _insert(cursor, sessions.rows(np.isin(sessions.labels, labels)))


def _insert(cursor: CursorWrapper, sessions: Sessions) -> None:
    cursor.execute("CREATE TEMP TABLE venue_session_stage (LIKE venue_session) ON COMMIT DROP")
    with cursor.copy("COPY venue_session_stage FROM STDIN") as copy:
        for row in _rows(sessions):
            copy.write_row(row)
    # Two jobs may do this at once: the loser's rows are dropped by the key.
    cursor.execute(
        "INSERT INTO venue_session SELECT * FROM venue_session_stage ON CONFLICT DO NOTHING"
    )
    cursor.execute("DROP TABLE venue_session_stage")


def _fingerprint(sessions: Sessions) -> tuple[int, int, int, int]:
    def total(column: Stamps) -> int:
        return int((column // _SECOND_US).sum())

    broken = sessions.break_starts != NO_BREAK
    rest = sessions.break_ends - sessions.break_starts
    return len(sessions), total(sessions.opens), total(sessions.closes), total(rest[broken])


def _rows(
    sessions: Sessions,
) -> Iterator[tuple[str, date, datetime, datetime, datetime | None, datetime | None]]:
    columns = (sessions.labels, sessions.opens, sessions.closes)
    breaks = (sessions.break_starts, sessions.break_ends)
    for label, opens, closes, pause, resume in zip(
        *(column.tolist() for column in columns + breaks), strict=True
    ):
        yield (
            sessions.venue,
            from_us(label).date(),
            from_us(opens),
            from_us(closes),
            None if pause == NO_BREAK else from_us(pause),
            None if resume == NO_BREAK else from_us(resume),
        )
