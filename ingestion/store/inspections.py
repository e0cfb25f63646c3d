"""The only writer of `inspection`: what was written of series since the checks last looked.

A writer of bars queues in its own transaction, so that no commit passes the checks by. Rows of
`inspection` are the last that any transaction locks, after findings and signals, and always by
ascending series: nobody who holds one waits for anything else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db import connection

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import Window
from ingestion.store.ranges import multirange_text, to_ranges

# Of several windows of one series a statement may insert only one row.
_QUEUE = """
INSERT INTO inspection (series_id, pending, since)
SELECT g.series_id, range_agg(tstzrange(g.starts, g.ends)), clock_timestamp()
FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) AS g(series_id, starts, ends)
GROUP BY g.series_id
ORDER BY g.series_id
ON CONFLICT (series_id) DO UPDATE SET pending = inspection.pending + excluded.pending
"""

_QUEUE_RANGES = """
INSERT INTO inspection (series_id, pending, since)
SELECT c.series_id, %(ranges)s::tstzmultirange, clock_timestamp()
FROM coverage c WHERE c.series_id = ANY(%(ids)s)
ORDER BY c.series_id
ON CONFLICT (series_id) DO UPDATE SET pending = inspection.pending + excluded.pending
"""

# The whole of a series is what was ever asked of it with an answer: loaded, doubted, proven empty
# or asked in vain.
_QUEUE_ALL = """
INSERT INTO inspection (series_id, pending, since)
SELECT c.series_id, tstzmultirange(range_merge(known.ranges)), clock_timestamp()
FROM coverage c
CROSS JOIN LATERAL (
    SELECT c.loaded + c.doubted
         + coalesce((SELECT range_agg(m."window") FROM missing_session m
                     WHERE m.series_id = c.series_id), '{}') AS ranges) known
WHERE c.series_id = ANY(%s) AND NOT isempty(known.ranges)
ORDER BY c.series_id
ON CONFLICT (series_id) DO UPDATE SET pending = inspection.pending + excluded.pending
"""

# A row's version tells whether anybody added to it since it was read, also what it held already.
_OLDEST = """
SELECT series_id, pending, xmin::text FROM inspection
WHERE series_id <> ALL(%s) ORDER BY since LIMIT 1
"""

_STRIKE = """
WITH struck AS (
    UPDATE inspection SET pending = pending - %(seen)s::tstzmultirange
    WHERE series_id = %(series_id)s AND xmin::text = %(version)s
    RETURNING series_id, pending)
SELECT isempty(pending) FROM struck
"""


@dataclass(frozen=True, slots=True)
class Pending:
    """Hold what waits to be inspected of one series, and the version of its row."""

    series_id: int
    ranges: Ranges
    version: str


def queue_windows(written: Iterable[tuple[int, Window]]) -> None:
    """Let windows be inspected, given as (series, window) in any order, in one statement."""
    listed = list(written)
    if not listed:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _QUEUE,
            [
                [series_id for series_id, _ in listed],
                [window.start for _, window in listed],
                [window.end for _, window in listed],
            ],
        )


def queue_ranges(series_ids: Collection[int], ranges: Ranges) -> None:
    """Let the same windows of many series be inspected, of those that were ever asked for."""
    with connection.cursor() as cursor:
        cursor.execute(
            _QUEUE_RANGES, {"ids": sorted(series_ids), "ranges": multirange_text(ranges)}
        )


def queue_all(series_ids: Collection[int]) -> int:
    """Let all that is known of series be inspected; return how many series that is."""
    with connection.cursor() as cursor:
        cursor.execute(_QUEUE_ALL, [sorted(series_ids)])
        return int(cursor.rowcount)


def oldest(*, besides: Collection[int] = ()) -> Pending | None:
    """Return what has waited longest, of other series than `besides`; None where nothing waits."""
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST, [sorted(besides)])
        row = cursor.fetchone()
    return Pending(row[0], to_ranges(row[1]), row[2]) if row else None


def is_anything_pending() -> bool:
    """Tell whether the checks have something to look at."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM inspection)")
        return bool(cursor.fetchone()[0])


def strike(pending: Pending, *, seen: Ranges) -> bool:
    """Take off what was inspected; return False where more was queued meanwhile.

    In that case nothing is taken off: what was queued may lie inside what was seen.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _STRIKE,
            {
                "series_id": pending.series_id,
                "version": pending.version,
                "seen": multirange_text(seen),
            },
        )
        row = cursor.fetchone()
        if row and row[0]:
            cursor.execute("DELETE FROM inspection WHERE series_id = %s", [pending.series_id])
    return row is not None
