"""Read what is stored of series: identity, coverage, proofs and bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from django.db import connection as default_connection
from django.db.backends.base.base import BaseDatabaseWrapper

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import Window
from providers.types import Adjustment, Anchor, Hours, Timeframe

SERIES_LIMIT = 20_000
# Bars are counted one by one: of many series that takes longer than all else that is said of them.
SERIES_COUNTED = 100

# Django's connection serves commands, a plain one those who read without any set-up.
Connection = psycopg.Connection[Any] | BaseDatabaseWrapper


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """Hold the identity of one series and what its instrument says of expectations.

    Of several providers the one with the lower `precedence` is believed first.
    """

    id: int
    instrument_id: int
    provider: str
    symbol: str
    event_type: str
    timeframe: Timeframe
    adjustment: Adjustment
    hours: Hours
    anchor: Anchor
    precedence: int
    venue: str
    listed_from: date | None
    delisted_on: date | None

    @property
    def sort_key(self) -> tuple[str, ...]:
        """Return the order of every listing: by code point, whatever the database collates by."""
        return (
            self.provider,
            self.symbol,
            self.timeframe.value,
            self.adjustment.value,
            self.hours.value,
            self.anchor.value,
        )


_SERIES = """
SELECT s.id, s.instrument_id, s.provider, i.symbol, s.event_type, s.timeframe, s.adjustment,
       s.hours, s.anchor, s.precedence, i.venue, i.listed_from, i.delisted_on
FROM series s JOIN instrument i ON i.id = s.instrument_id
WHERE s.event_type = 'bar'
  AND (%(ids)s::int[] IS NULL OR s.id = ANY(%(ids)s))
  AND (%(symbols)s::text[] IS NULL OR i.symbol = ANY(%(symbols)s))
  AND (%(timeframes)s::text[] IS NULL OR s.timeframe = ANY(%(timeframes)s))
  AND (%(provider)s::text IS NULL OR s.provider = %(provider)s)
LIMIT %(limit)s
"""


def select_series(
    *,
    ids: Iterable[int] | None = None,
    symbols: Sequence[str] | None = None,
    timeframes: Sequence[Timeframe] | None = None,
    provider: str | None = None,
    limit: int | None = SERIES_LIMIT,
    connection: Connection = default_connection,
) -> list[SeriesRow]:
    """Return the bar series that pass every filter given, in listing order."""
    with connection.cursor() as cursor:
        cursor.execute(
            _SERIES,
            {
                "ids": None if ids is None else list(ids),
                "symbols": None if symbols is None else list(symbols),
                "timeframes": None if timeframes is None else [t.value for t in timeframes],
                "provider": provider,
                "limit": limit,
            },
        )
        found = [_series_row(row) for row in cursor.fetchall()]
    return sorted(found, key=lambda series: series.sort_key)


def _series_row(row: tuple[Any, ...]) -> SeriesRow:
    shape = (Timeframe(row[5]), Adjustment(row[6]), Hours(row[7]), Anchor(row[8]))
    return SeriesRow(*[*row[:5], *shape, *row[9:]])


def similar_symbols(
    symbol: str, *, limit: int = 3, connection: Connection = default_connection
) -> list[str]:
    """Return stored symbols that differ from this one in case or begin with it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT symbol FROM instrument"
            " WHERE upper(symbol) = upper(%(s)s) OR starts_with(upper(symbol), upper(%(s)s))"
            " ORDER BY upper(symbol) <> upper(%(s)s), symbol LIMIT %(limit)s",
            {"s": symbol, "limit": limit},
        )
        return [found for (found,) in cursor.fetchall()]


_SPAN = (
    "(extract(epoch FROM lower({0})) * 1000000)::bigint,"
    " (extract(epoch FROM upper({0})) * 1000000)::bigint"
)
_WINDOW_SPAN = _SPAN.format('"window"')

# Proofs that say that there is no bar to be had at all, from whomever.
_COVERED = f"""
SELECT series_id, 'loaded', {_SPAN.format("r")}
FROM coverage, unnest(loaded) r WHERE series_id = ANY(%(ids)s)
UNION ALL
SELECT series_id, 'proven', {_WINDOW_SPAN}
FROM empty_proof WHERE series_id = ANY(%(ids)s) AND expires_at > now()
  AND reason IN ('no_trade', 'halted', 'closed', 'not_listed')
"""


@dataclass(frozen=True, slots=True)
class Covered:
    """Hold what is loaded of a series, and what is proven to be without bars; in stamp space."""

    loaded: Ranges
    proven: Ranges


def read_covered(
    series_ids: Sequence[int], *, connection: Connection = default_connection
) -> dict[int, Covered]:
    """Read what is accounted for of each series, now."""
    spans: dict[tuple[int, str], list[tuple[int, int]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_COVERED, {"ids": list(series_ids)})
        for series_id, kind, start, end in cursor.fetchall():
            spans.setdefault((series_id, kind), []).append((start, end))
    return {
        series_id: Covered(
            loaded=Ranges.of(spans.get((series_id, "loaded"), [])),
            proven=Ranges.of(spans.get((series_id, "proven"), [])),
        )
        for series_id in series_ids
    }


def stored_spans(series_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return, in µs, about when the bars of each series begin and end: as far as it is covered."""
    with default_connection.cursor() as cursor:
        cursor.execute(
            "SELECT series_id, (extract(epoch FROM first_ts) * 1000000)::bigint,"
            " (extract(epoch FROM upper(loaded)) * 1000000)::bigint FROM coverage"
            " WHERE series_id = ANY(%s) AND first_ts IS NOT NULL AND NOT isempty(loaded)",
            [list(series_ids)],
        )
        return {series_id: (first, last) for series_id, first, last in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class BarCount:
    """Count stored rows and those that repeat a (series, ts, sequence)."""

    bars: int = 0
    duplicates: int = 0
    first: datetime | None = None
    last: datetime | None = None


def count_bars(windows: Mapping[int, Window]) -> dict[int, BarCount]:
    """Count the stored bars of each series in its window, and the duplicates among them.

    The key forbids duplicates; they are counted all the same, so that the figure is evidence.
    """
    with default_connection.cursor() as cursor:
        cursor.execute(
            "SELECT w.series_id, k.* FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[])"
            "   AS w(series_id, starts, ends)"
            " CROSS JOIN LATERAL ("
            "   SELECT coalesce(sum(n), 0)::bigint, coalesce(sum(n - 1), 0)::bigint,"
            "          min(ts), max(ts)"
            "   FROM (SELECT b.ts, b.sequence, count(*) AS n FROM bar b"
            "         WHERE b.series_id = w.series_id AND b.ts >= w.starts AND b.ts < w.ends"
            "         GROUP BY b.ts, b.sequence) g) k",
            [
                list(windows),
                [window.start for window in windows.values()],
                [window.end for window in windows.values()],
            ],
        )
        return {row[0]: BarCount(*row[1:]) for row in cursor.fetchall()}
