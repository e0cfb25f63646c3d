"""Keep each venue's sessions as rows, so that SQL judges gaps by the planner's calendar."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from django.db import connection
from django.db.backends.utils import CursorWrapper
from numpy.typing import NDArray

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import from_us
from ingestion.store.calendar_overrides import read_revision
from ingestion.store.ranges import multirange_text
from providers.declared import current as declared
from providers.instants import utc_offsets
from providers.sessions import NO_BREAK, Sessions, Stamps

_SECOND_US: Final = 1_000_000
# Sums over a venue's rows tell in one pass whether any of them moved.
_FINGERPRINT: Final = """
SELECT count(*), coalesce(sum(extract(epoch FROM opens_at)), 0)::int8,
       coalesce(sum(extract(epoch FROM closes_at)), 0)::int8,
       coalesce(sum(extract(epoch FROM break_end) - extract(epoch FROM break_start)), 0)::int8,
       coalesce(sum((SELECT sum(extract(epoch FROM upper(h) - lower(h))) FROM unnest(halts) h))
                FILTER (WHERE NOT isempty(halts)), 0)::int8,
       coalesce(sum(extract(epoch FROM earliest_at)), 0)::int8,
       coalesce(sum(extract(epoch FROM latest_at)), 0)::int8,
       coalesce(sum(utc_offset), 0)::int8
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


def _fingerprint(sessions: Sessions) -> tuple[int, ...]:
    def total(column: Stamps) -> int:
        return int((column // _SECOND_US).sum())

    broken = sessions.break_starts != NO_BREAK
    rest = sessions.break_ends - sessions.break_starts
    starts, ends, _ = _halts(sessions)
    return (
        len(sessions),
        total(sessions.opens),
        total(sessions.closes),
        total(rest[broken]),
        total(ends - starts),
        total(sessions.earliest),
        total(sessions.latest),
        int(_offsets(sessions).sum()),
    )


def _rows(sessions: Sessions) -> Iterator[tuple[object, ...]]:
    columns = (sessions.labels, sessions.opens, sessions.closes)
    breaks = (sessions.break_starts, sessions.break_ends)
    outer = (sessions.earliest, sessions.latest, _offsets(sessions))
    starts, ends, owners = _halts(sessions)
    halts: dict[int, list[tuple[int, int]]] = {}
    for owner, start, end in zip(owners.tolist(), starts.tolist(), ends.tolist(), strict=True):
        halts.setdefault(owner, []).append((start, end))
    for place, (label, opens, closes, pause, resume, earliest, latest, offset) in enumerate(
        zip(*(column.tolist() for column in columns + breaks + outer), strict=True)
    ):
        yield (
            sessions.venue,
            from_us(label).date(),
            from_us(opens),
            from_us(closes),
            None if pause == NO_BREAK else from_us(pause),
            None if resume == NO_BREAK else from_us(resume),
            multirange_text(Ranges.of(halts[place])) if place in halts else "{}",
            from_us(earliest),
            from_us(latest),
            offset,
        )


def _halts(sessions: Sessions) -> tuple[Stamps, Stamps, NDArray[np.intp]]:
    """Return what pauses beside the breaks: starts, ends, and the row of each."""
    starts, ends, owners = sessions.pauses()
    beside = starts != sessions.break_starts[owners]
    return starts[beside], ends[beside], owners[beside]


def _offsets(sessions: Sessions) -> Stamps:
    """Return the venue's UTC offset at each open, in seconds."""
    return utc_offsets(sessions.opens, sessions.tz) // _SECOND_US
