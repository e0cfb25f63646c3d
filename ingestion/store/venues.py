"""Keep each venue's sessions as rows, so that SQL judges gaps by the planner's calendar."""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np
from django.db import connection
from django.db.backends.utils import CursorWrapper
from numpy.typing import NDArray

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import from_us
from ingestion.store.calendar_overrides import read_revision
from ingestion.store.copyformat import DATE, INT4, TIMESTAMPTZ, Column, encode_rows
from ingestion.store.ranges import multirange_text
from providers.declared import current as declared
from providers.instants import utc_offsets
from providers.sessions import DAY_US, NO_BREAK, Sessions, Stamps

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

_STAGE: Final = """
CREATE TEMP TABLE venue_session_stage (
    label date, opens_at timestamptz, closes_at timestamptz, break_start timestamptz,
    break_end timestamptz, earliest_at timestamptz, latest_at timestamptz, utc_offset int4
) ON COMMIT DROP
"""
_FROM_STAGE: Final = """
INSERT INTO venue_session (venue, label, opens_at, closes_at, break_start, break_end, halts,
                           earliest_at, latest_at, utc_offset)
SELECT %s, label, opens_at, closes_at, break_start, break_end,
       coalesce(h.halts, '{}')::tstzmultirange, earliest_at, latest_at, utc_offset
  FROM venue_session_stage
  LEFT JOIN unnest(%s::date[], %s::text[]) AS h (label, halts) USING (label)
ON CONFLICT DO NOTHING
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
    cursor.execute(_STAGE)
    with cursor.copy("COPY venue_session_stage FROM STDIN (FORMAT binary)") as copy:
        for buffer in encode_rows(_columns(sessions)):
            copy.write(buffer)
    # Two jobs may do this at once: the loser's rows are dropped by the key.
    cursor.execute(_FROM_STAGE, [sessions.venue, *_halted(sessions)])
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


def _columns(sessions: Sessions) -> list[Column]:
    """Lay the sessions out as the staging table has them, without what few of them have."""
    unbroken = sessions.break_starts == NO_BREAK
    return [
        Column(DATE, sessions.labels // DAY_US),
        Column(TIMESTAMPTZ, sessions.opens),
        Column(TIMESTAMPTZ, sessions.closes),
        Column(TIMESTAMPTZ, sessions.break_starts, absent=unbroken),
        Column(TIMESTAMPTZ, sessions.break_ends, absent=unbroken),
        Column(TIMESTAMPTZ, sessions.earliest),
        Column(TIMESTAMPTZ, sessions.latest),
        Column(INT4, _offsets(sessions)),
    ]


def _halted(sessions: Sessions) -> tuple[list[date], list[str]]:
    """Return the dates that have halts, and all halts of each."""
    starts, ends, owners = _halts(sessions)
    halts: dict[int, list[tuple[int, int]]] = {}
    for owner, start, end in zip(owners.tolist(), starts.tolist(), ends.tolist(), strict=True):
        halts.setdefault(owner, []).append((start, end))
    labels = sessions.labels[list(halts)].tolist() if halts else []
    return (
        [from_us(label).date() for label in labels],
        [multirange_text(Ranges.of(one)) for one in halts.values()],
    )


def _halts(sessions: Sessions) -> tuple[Stamps, Stamps, NDArray[np.intp]]:
    """Return what pauses beside the breaks: starts, ends, and the row of each."""
    starts, ends, owners = sessions.pauses()
    beside = starts != sessions.break_starts[owners]
    return starts[beside], ends[beside], owners[beside]


def _offsets(sessions: Sessions) -> Stamps:
    """Return the venue's UTC offset at each open, in seconds."""
    return utc_offsets(sessions.opens, sessions.tz) // _SECOND_US
