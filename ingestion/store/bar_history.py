"""Compare what was known of bars at two moments, from their versions."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

VALUES: Final = ("open", "high", "low", "close", "volume", "vwap", "trades")
_ROWS_AT_ONCE: Final = 2000

# A bar has at most one version at a time. What became known between the two moments, and still was
# at the later one, has begun; what was known at the earlier one, and no more at the later, has
# ended.
_COLUMNS: Final = ", ".join(("series_id", "ts", "sequence", *VALUES))
_SERIES: Final = """
series_id = ANY(%(ids)s) AND ts >= coalesce(%(start)s, '-infinity'::timestamptz)
  AND ts < coalesce(%(end)s, 'infinity'::timestamptz)
"""
_VERSIONS: Final = f"""
WITH begun AS (
    SELECT {_COLUMNS} FROM bar
    WHERE {_SERIES} AND final AND known_from > %(earlier)s AND known_from <= %(later)s
    UNION ALL
    SELECT {_COLUMNS} FROM bar_revision
    WHERE {_SERIES} AND known_from > %(earlier)s AND known_from <= %(later)s
      AND known_to > %(later)s
), ended AS (
    SELECT {_COLUMNS} FROM bar_revision
    WHERE {_SERIES} AND known_from <= %(earlier)s AND known_to > %(earlier)s
      AND known_to <= %(later)s
)
"""
_OLD: Final = ", ".join(f"e.{name}" for name in VALUES)
_NEW: Final = ", ".join(f"b.{name}" for name in VALUES)
_JOINED: Final = """
FROM begun b FULL JOIN ended e
  ON e.series_id = b.series_id AND e.ts = b.ts AND e.sequence = b.sequence
"""
_DIFFER: Final = f"({_OLD}) IS DISTINCT FROM ({_NEW})"
_COUNTS: Final = f"""
{_VERSIONS}
SELECT coalesce(b.series_id, e.series_id), count(*) FILTER (WHERE e.ts IS NULL),
       count(*) FILTER (WHERE e.ts = b.ts AND {_DIFFER}), count(*) FILTER (WHERE b.ts IS NULL)
{_JOINED}
GROUP BY 1
"""
_CHANGES: Final = f"""
{_VERSIONS}
SELECT coalesce(b.ts, e.ts) AS ts, coalesce(b.sequence, e.sequence) AS sequence,
       e.ts IS NOT NULL, b.ts IS NOT NULL, {_OLD}, {_NEW}
{_JOINED}
WHERE {_DIFFER}
ORDER BY 1, 2
"""


class Change(enum.StrEnum):
    """Say what became of a bar between two moments of knowledge."""

    ADDED = "added"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Span:
    """Bound a comparison: two moments of knowledge, and stamps in [start, end); None is open."""

    earlier: datetime
    later: datetime
    start: datetime | None = None
    end: datetime | None = None

    def values(self, series_ids: Sequence[int]) -> dict[str, Any]:
        """Return what the statements ask for."""
        return {
            "ids": list(series_ids),
            "earlier": self.earlier,
            "later": self.later,
            "start": self.start,
            "end": self.end,
        }


@dataclass(frozen=True, slots=True)
class ChangeCounts:
    """Count the bars of one series by what became of them."""

    added: int = 0
    changed: int = 0
    withdrawn: int = 0


@dataclass(frozen=True, slots=True)
class BarChange:
    """Hold one bar that was otherwise at the later moment; `old` and `new` are as VALUES."""

    ts: datetime
    sequence: int
    change: Change
    old: tuple[float | None, ...] | None
    new: tuple[float | None, ...] | None


def count_changes(series_ids: Sequence[int], span: Span) -> dict[int, ChangeCounts]:
    """Count what changed, by series; those of which nothing did may be absent."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, span.values(series_ids))
        return {row[0]: ChangeCounts(*row[1:]) for row in cursor.fetchall()}


def read_changes(series_id: int, span: Span) -> Iterator[BarChange]:
    """Yield the bars of a series that changed, ascending by (ts, sequence); memory stays flat."""
    with transaction.atomic(), closing(connection.chunked_cursor()) as cursor:
        cursor.execute(_CHANGES, span.values([series_id]))
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            yield from (_change(row) for row in rows)


def _change(row: tuple[Any, ...]) -> BarChange:
    ts, sequence, was, is_, *values = row
    old, new = tuple(values[: len(VALUES)]), tuple(values[len(VALUES) :])
    change = Change.CHANGED if was and is_ else Change.ADDED if is_ else Change.WITHDRAWN
    return BarChange(ts, sequence, change, old if was else None, new if is_ else None)
