"""Read and advance what is loaded, one row per series, in stamp space.

Advancing runs in the transaction that wrote the bars, under the series' advisory lock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import Window, from_us, to_us
from ingestion.store.ranges import multirange_text, to_ranges

_TRADED = """
SELECT EXISTS (SELECT 1 FROM bar b
               WHERE b.series_id = g.series_id AND b.ts >= g.starts AND b.ts < g.ends
                 AND b.final)
FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY
     AS g(series_id, starts, ends, n)
ORDER BY g.n
"""

_KNOWN = """
SELECT g.id, coalesce(c.loaded, '{}'), coalesce(c.doubted, '{}'),
       coalesce((SELECT range_agg(p."window") FROM empty_proof p
                 WHERE p.series_id = g.id AND p.expires_at > now()), '{}')
FROM unnest(%s::int[]) AS g(id) LEFT JOIN coverage c ON c.series_id = g.id
"""

_ADVANCE = """
UPDATE coverage c
SET loaded = c.loaded + g.covered::tstzmultirange,
    doubted = c.doubted - g.judged::tstzmultirange - g.covered::tstzmultirange,
    first_ts = least(c.first_ts, g.first_ts),
    updated_at = clock_timestamp()
FROM unnest(%s::int[], %s::text[], %s::text[], %s::timestamptz[])
     AS g(series_id, covered, judged, first_ts)
WHERE c.series_id = g.series_id
"""

# Bars stay, and so does first_ts: that the series existed then is beyond doubt.
_DOUBT = """
WITH locked AS (SELECT series_id FROM coverage WHERE series_id = ANY(%s) ORDER BY series_id
                FOR NO KEY UPDATE)
UPDATE coverage c SET doubted = doubted + loaded, loaded = '{}', updated_at = clock_timestamp()
FROM locked WHERE c.series_id = locked.series_id
"""

_DOUBT_WITHIN = """
WITH locked AS (SELECT series_id FROM coverage
                WHERE series_id = ANY(%(ids)s) AND loaded && %(ranges)s::tstzmultirange
                ORDER BY series_id FOR NO KEY UPDATE)
UPDATE coverage c
SET doubted = c.doubted + c.loaded * %(ranges)s::tstzmultirange,
    loaded = c.loaded - %(ranges)s::tstzmultirange, updated_at = clock_timestamp()
FROM locked WHERE c.series_id = locked.series_id
"""

# What nobody can look at again stays as it was.
_BELIEVE = """
WITH locked AS (SELECT series_id FROM coverage WHERE series_id = ANY(%(ids)s) ORDER BY series_id
                FOR NO KEY UPDATE)
UPDATE coverage c
SET loaded = c.loaded + c.doubted * tstzmultirange(tstzrange(g.starts, g.ends)),
    doubted = c.doubted - tstzmultirange(tstzrange(g.starts, g.ends))
FROM unnest(%(ids)s::int[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
     AS g(series_id, starts, ends) JOIN locked USING (series_id)
WHERE c.series_id = g.series_id AND c.doubted && tstzrange(g.starts, g.ends)
"""


@dataclass(frozen=True, slots=True)
class Known:
    """Hold what is known of one series.

    `loaded` is covered, `doubted` was so until somebody asked for another look, `explained` lies in
    unexpired proofs.
    """

    loaded: Ranges
    doubted: Ranges
    explained: Ranges

    @property
    def settled(self) -> Ranges:
        """Return what planning may leave out."""
        return self.loaded.union(self.explained)


NOTHING_KNOWN = Known(Ranges.empty(), Ranges.empty(), Ranges.empty())


@dataclass(frozen=True, slots=True)
class Advance:
    """Hold what is newly covered in one series, and the first bar of what was stored.

    `judged` is all that was looked at, whatever was found: a doubt about it is settled.
    """

    covered: Ranges
    first_us: int | None
    judged: Ranges = NOTHING_KNOWN.loaded

    def join(self, other: Advance) -> Advance:
        """Add another finish of the same series; the order does not matter."""
        firsts = [us for us in (self.first_us, other.first_us) if us is not None]
        return Advance(
            self.covered.union(other.covered),
            min(firsts, default=None),
            self.judged.union(other.judged),
        )


def first_bars(series_ids: Collection[int]) -> dict[int, int]:
    """Return, per series, the first bar stored before this finish; makes the rows to advance."""
    ids = sorted(series_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO coverage (series_id, loaded, updated_at)"
            " SELECT s, '{}'::tstzmultirange, clock_timestamp()"
            " FROM unnest(%s::int[]) s ON CONFLICT DO NOTHING",
            [ids],
        )
        cursor.execute(
            "SELECT series_id, first_ts FROM coverage"
            " WHERE series_id = ANY(%s) AND first_ts IS NOT NULL",
            [ids],
        )
        return {series_id: to_us(first) for series_id, first in cursor.fetchall()}


def have_traded(sessions: Sequence[tuple[int, Window]]) -> list[bool]:
    """Tell, per (series, session), whether any final bar of it is stored."""
    with connection.cursor() as cursor:
        cursor.execute(
            _TRADED,
            [
                [series_id for series_id, _ in sessions],
                [session.start for _, session in sessions],
                [session.end for _, session in sessions],
            ],
        )
        return [traded for (traded,) in cursor.fetchall()]


def read_known(series_ids: Iterable[int]) -> dict[int, Known]:
    """Read what is known of series, also of those that nothing is known of, in one query."""
    ids = sorted(set(series_ids))
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, [ids])
        return {
            series_id: Known(to_ranges(loaded), to_ranges(doubted), to_ranges(explained))
            for series_id, loaded, doubted, explained in cursor.fetchall()
        }


def doubt_loaded(series_ids: Collection[int]) -> None:
    """Let all that is loaded of series be fetched again; the series are locked by the caller."""
    with connection.cursor() as cursor:
        cursor.execute(_DOUBT, [sorted(series_ids)])


def doubt_within(series_ids: Collection[int], ranges: Ranges) -> int:
    """Let what is loaded within these windows be fetched again; return of how many series.

    The series are locked by the caller.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _DOUBT_WITHIN, {"ids": sorted(series_ids), "ranges": multirange_text(ranges)}
        )
        return int(cursor.rowcount)


def believe(windows: Mapping[int, Window]) -> None:
    """Take doubts back where no provider can settle them, by series."""
    if not windows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _BELIEVE,
            {
                "ids": list(windows),
                "starts": [window.start for window in windows.values()],
                "ends": [window.end for window in windows.values()],
            },
        )


def advance_coverage(advances: Mapping[int, Advance]) -> None:
    """Add what was covered, by series; rows exist since `first_bars`."""
    ordered = sorted(advances.items())
    with connection.cursor() as cursor:
        cursor.execute(
            _ADVANCE,
            [
                [series_id for series_id, _ in ordered],
                [multirange_text(one.covered) for _, one in ordered],
                [multirange_text(one.judged) for _, one in ordered],
                [from_us(one.first_us) if one.first_us is not None else None for _, one in ordered],
            ],
        )
