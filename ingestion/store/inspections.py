"""The only writer of `inspection`: what was written of series since the checks last looked.

A writer of bars queues in its own transaction, so that no commit passes the checks by. Rows of
`inspection` are the last that any transaction locks, after findings and signals, and always by
ascending series: nobody who holds one waits for anything else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from ingestion.domain.coverage import Ranges
from ingestion.domain.findings import Check
from ingestion.domain.windows import Window
from ingestion.store import bar_reads
from ingestion.store.ranges import multirange_text, to_ranges
from ingestion.store.series_reads import SeriesRow
from providers.bars import Bars

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

# The whole of a series is what was ever asked of it with an answer: loaded, doubted or asked in
# vain; and where SQL wrote what coverage does not know, as far as bars reach.
_WHOLE = """
SELECT s.id AS series_id, range_merge(
    coalesce(c.loaded + c.doubted, '{}')
    + coalesce((SELECT range_agg(m."window") FROM missing_session m WHERE m.series_id = s.id),
               '{}')
    + coalesce((SELECT tstzmultirange(tstzrange(min(b.ts), max(b.ts) + interval '1 us'))
                FROM bar b WHERE b.series_id = s.id AND c.series_id IS NULL
                HAVING min(b.ts) IS NOT NULL), '{}')) AS span
FROM unnest(%s::int[]) AS s(id) LEFT JOIN coverage c ON c.series_id = s.id
"""

_QUEUE_ALL = f"""
INSERT INTO inspection (series_id, pending, since)
SELECT series_id, tstzmultirange(span), clock_timestamp()
FROM ({_WHOLE}) whole WHERE NOT isempty(span)
ORDER BY series_id
ON CONFLICT (series_id) DO UPDATE SET pending = inspection.pending + excluded.pending
"""

# A row's version tells whether anybody added to it since it was read, also what it held already.
_OLDEST = """
SELECT series_id, pending, (xmin, ctid)::text FROM inspection
WHERE since <= clock_timestamp() - make_interval(secs => %s) AND series_id <> ALL(%s)
ORDER BY since LIMIT 1
"""

_STRIKE = """
UPDATE inspection SET pending = pending - %(seen)s::tstzmultirange
WHERE series_id = %(series_id)s AND (xmin, ctid)::text = %(version)s
RETURNING isempty(pending), (xmin, ctid)::text
"""

_PUT_OFF = """
UPDATE inspection SET since = clock_timestamp() + interval '10 minutes' WHERE series_id = %s
"""

# One inspector at a time: looking is heavy, and nobody waits for it.
_LOCK_CLASS, _LOCK = 7306, 0

# The slices of a backfill come one by one; after this long several are looked at together.
SETTLES = timedelta(seconds=20)

# Whoever is about to ask will fill what nobody asked for yet.
_AWAITED = """
SELECT coalesce(range_agg("window"), '{}') FROM slice
WHERE series_id = %s AND state IN ('ready', 'leased')
"""

# What was found once is looked at as a whole, or a gap half filled would be two findings.
_UNSETTLED = """
SELECT coalesce(range_agg("window"), '{}') FROM finding
WHERE series_id = %s AND kind = ANY(%s) AND state IN ('open', 'repairing')
  AND "window" && %s::tstzmultirange
"""

# A venue that stands still as a whole is no fault of one series.
_WITNESSES = """
SELECT count(*), count(*) FILTER (WHERE moved)
FROM (SELECT s.id FROM series s JOIN instrument i ON i.id = s.instrument_id
      WHERE i.venue = %(venue)s AND s.timeframe = %(timeframe)s AND s.id <> %(series_id)s
        AND s.instrument_id <> %(instrument_id)s
      ORDER BY s.id LIMIT %(most)s) other
CROSS JOIN LATERAL (
    SELECT min(b.close) < max(b.close) AS moved FROM bar b
    WHERE b.series_id = other.id AND b.ts >= %(start)s AND b.ts < %(end)s) seen
WHERE seen.moved IS NOT NULL
"""
_MOST_WITNESSES = 20

_COLUMNS = ("open", "high", "low", "close", "volume", "final")


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


def whole_windows(series_ids: Collection[int]) -> dict[int, Window]:
    """Return all that is known of each series as one window; those without any are absent."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT series_id, lower(span), upper(span) FROM ({_WHOLE}) whole"
            " WHERE NOT isempty(span)",
            [sorted(series_ids)],
        )
        return {series_id: Window(start, end) for series_id, start, end in cursor.fetchall()}


def oldest(*, besides: Collection[int] = (), settled: timedelta = SETTLES) -> Pending | None:
    """Return what has waited longest, and at least so long; None where nothing has.

    Series in `besides` are passed over.
    """
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST, [settled.total_seconds(), sorted(besides)])
        row = cursor.fetchone()
    return Pending(row[0], to_ranges(row[1]), row[2]) if row else None


def is_due() -> bool:
    """Tell whether something has waited long enough to be looked at."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM inspection"
            " WHERE since <= clock_timestamp() - make_interval(secs => %s))",
            [SETTLES.total_seconds()],
        )
        return bool(cursor.fetchone()[0])


def try_to_be_alone() -> bool:
    """Take the one inspector's place until the transaction ends; False where somebody has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_LOCK_CLASS, _LOCK])
        return bool(cursor.fetchone()[0])


def awaited(series_id: int) -> Ranges:
    """Return the windows of a series that slices are still to fetch."""
    with connection.cursor() as cursor:
        cursor.execute(_AWAITED, [series_id])
        return to_ranges(cursor.fetchone()[0])


def unsettled(series_id: int, *, ranges: Ranges, checks: Collection[Check]) -> Ranges:
    """Return the windows of open findings of some checks that overlap what is to be looked at."""
    with connection.cursor() as cursor:
        cursor.execute(
            _UNSETTLED, [series_id, [one.value for one in checks], multirange_text(ranges)]
        )
        return to_ranges(cursor.fetchone()[0])


def witnesses(series: SeriesRow, window: Window) -> tuple[int, int]:
    """Return how many other series of the venue have bars in a window, and how many of them moved.

    Looks at twenty at most, of the same timeframe and other instruments.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _WITNESSES,
            {
                "venue": series.venue,
                "timeframe": series.timeframe.value,
                "series_id": series.id,
                "instrument_id": series.instrument_id,
                "start": window.start,
                "end": window.end,
                "most": _MOST_WITNESSES,
            },
        )
        seen, moved = cursor.fetchone()
        return int(seen), int(moved)


def strike(series_id: int, *, seen: Ranges, version: str) -> str | None:
    """Take off what was inspected; return the row's new version, or None where it is not ours.

    Where more was queued meanwhile nothing is taken off: it may lie inside what was seen.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _STRIKE, {"series_id": series_id, "version": version, "seen": multirange_text(seen)}
        )
        row = cursor.fetchone()
        if row is None:
            return None
        if row[0]:
            cursor.execute("DELETE FROM inspection WHERE series_id = %s", [series_id])
    return str(row[1])


def put_off(series_id: int) -> None:
    """Let what cannot be inspected wait for ten minutes."""
    with connection.cursor() as cursor:
        cursor.execute(_PUT_OFF, [series_id])


# A walk along the key, of which the planner is not sure while statistics are young.
_WALK = "SET LOCAL enable_sort = off; SET LOCAL jit = off"


def read_stored(series_id: int, *, start: datetime, end: datetime) -> Bars:
    """Read the bars of a series stamped in [start, end), in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_WALK)
    return bar_reads.read_bars(
        connection.connection, series_id, start=start, end=end, columns=_COLUMNS
    )
