"""Read and advance what is loaded, one row per series, in stamp space.

Advancing runs in the transaction that wrote the bars, under the series' advisory lock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import Window, from_us, to_us
from ingestion.store.ranges import multirange_text, range_text, to_ranges

_TRADED = """
SELECT EXISTS (SELECT 1 FROM bar b
               WHERE b.series_id = g.series_id AND b.ts >= g.starts AND b.ts < g.ends
                 AND b.final)
FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY
     AS g(series_id, starts, ends, n)
ORDER BY g.n
"""

_LOADED_AND_EXPLAINED = """
SELECT (coalesce((SELECT loaded FROM coverage WHERE series_id = %(series)s), '{}')
        + coalesce((SELECT range_agg("window") FROM empty_proof
                    WHERE series_id = %(series)s AND expires_at > now()
                      AND "window" && %(window)s::tstzrange), '{}'))
       * tstzmultirange(%(window)s::tstzrange)
"""

_ADVANCE = """
UPDATE coverage c
SET loaded = c.loaded + g.covered::tstzmultirange,
    first_ts = least(c.first_ts, g.first_ts),
    updated_at = clock_timestamp()
FROM unnest(%s::int[], %s::text[], %s::timestamptz[]) AS g(series_id, covered, first_ts)
WHERE c.series_id = g.series_id
"""


@dataclass(frozen=True, slots=True)
class Advance:
    """Hold what is newly covered in one series, and the first bar of what was stored."""

    covered: Ranges
    first_us: int | None

    def join(self, other: Advance) -> Advance:
        """Add another finish of the same series; the order does not matter."""
        firsts = [us for us in (self.first_us, other.first_us) if us is not None]
        return Advance(self.covered.union(other.covered), min(firsts, default=None))


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


def loaded_and_explained(series_id: int, window: Window) -> Ranges:
    """Read what planning may leave out of a window: loaded, or explained by an unexpired proof."""
    with connection.cursor() as cursor:
        cursor.execute(
            _LOADED_AND_EXPLAINED,
            {"series": series_id, "window": range_text(window.start_us, window.end_us)},
        )
        (found,) = cursor.fetchone()
    return to_ranges(found)


def advance_coverage(advances: Mapping[int, Advance]) -> None:
    """Add what was covered, by series; rows exist since `first_bars`."""
    ordered = sorted(advances.items())
    with connection.cursor() as cursor:
        cursor.execute(
            _ADVANCE,
            [
                [series_id for series_id, _ in ordered],
                [multirange_text(one.covered) for _, one in ordered],
                [from_us(one.first_us) if one.first_us is not None else None for _, one in ordered],
            ],
        )
