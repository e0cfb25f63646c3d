"""Read what tells whether a provider has moved a series' prices to a new basis.

Only what is loaded counts: what is doubted is being fetched again, on whatever basis holds now, and
says nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from ingestion.domain.windows import Window, from_us, to_us
from providers.bars import Bars

# Providers adjust their history on the ex-date or some days late.
ADJUSTED_WITHIN_DAYS: Final = 3
# Looking again is over a week after the split was first stated, whatever came of it.
LOOKED_FOR: Final = timedelta(days=7)
LOOKED_EVERY: Final = timedelta(hours=20)

_REBASED: Final = """
SELECT DISTINCT ON (s.id) s.id, i.symbol, a.ex_date
FROM corporate_action a
JOIN instrument i ON i.id = a.instrument_id
JOIN series s ON s.instrument_id = a.instrument_id AND s.provider = a.provider
JOIN coverage c ON c.series_id = s.id
CROSS JOIN LATERAL (SELECT a.ex_date::timestamp AT TIME ZONE 'UTC' AS at) ex
WHERE a.kind = 'split' AND a.known_to IS NULL
  AND a.known_from > %(stated_since)s AND ex.at <= %(now)s
  AND s.event_type = 'bar' AND s.adjustment <> 'raw'
  AND c.loaded && tstzrange(NULL, ex.at)
  AND EXISTS (SELECT 1 FROM bar b
              WHERE b.series_id = s.id AND b.ts < ex.at
                AND b.known_from < ex.at + %(late)s * interval '1 day'
                AND b.known_from < %(looked_at)s)
  AND NOT EXISTS (SELECT 1 FROM finding f
                  WHERE f.series_id = s.id AND f.kind = 'basis_change'
                    AND (f.state = 'repairing' OR f.seen_at > %(looked_at)s))
ORDER BY s.id, a.ex_date DESC
"""


@dataclass(frozen=True, slots=True)
class Rebased:
    """Name a series with bars from before a split that were fetched before it, or soon after."""

    series_id: int
    symbol: str
    ex_date: date


def rebased_series(*, now: datetime) -> list[Rebased]:
    """Return the series whose stored history has another basis than what a provider sends now."""
    with connection.cursor() as cursor:
        cursor.execute(
            _REBASED,
            {
                "now": now,
                "stated_since": now - LOOKED_FOR,
                "looked_at": now - LOOKED_EVERY,
                "late": ADJUSTED_WITHIN_DAYS,
            },
        )
        return [Rebased(*row) for row in cursor]


# A bar that is still forming, or in doubt, is no measure. The outer bounds repeat what the windows
# say: as constants they let the planner drop partitions.
_NEIGHBOURS = """
SELECT g.n, older.first, older.bars, newer.last, newer.bars
FROM unnest(%(series)s::int[], %(starts)s::timestamptz[], %(ends)s::timestamptz[],
            %(reaches)s::interval[]) WITH ORDINALITY AS g(series_id, starts, ends, reach, n)
JOIN coverage c ON c.series_id = g.series_id
                AND c.loaded && tstzrange(g.starts - g.reach, g.ends + g.reach)
CROSS JOIN LATERAL (
    SELECT min(ts) AS first, count(*) AS bars FROM (
        SELECT b.ts FROM bar b
        WHERE b.series_id = g.series_id AND b.ts >= g.starts - g.reach AND b.ts < g.starts
          AND b.ts BETWEEN %(first)s AND %(last)s
          AND b.sequence = 0 AND b.final AND c.loaded @> b.ts
        ORDER BY b.ts DESC LIMIT %(limit)s) found) older
CROSS JOIN LATERAL (
    SELECT max(ts) AS last, count(*) AS bars FROM (
        SELECT b.ts FROM bar b
        WHERE b.series_id = g.series_id AND b.ts >= g.ends AND b.ts < g.ends + g.reach
          AND b.ts BETWEEN %(first)s AND %(last)s
          AND b.sequence = 0 AND b.final AND c.loaded @> b.ts
        ORDER BY b.ts LIMIT %(limit)s) found) newer
"""

_PRICES = """
SELECT b.series_id, b.ts, b.open, b.high, b.low, b.close
FROM unnest(%(series)s::int[], %(stamps)s::timestamptz[]) AS g(series_id, ts)
JOIN bar b ON b.series_id = g.series_id AND b.ts = g.ts AND b.sequence = 0 AND b.final
JOIN coverage c ON c.series_id = b.series_id AND c.loaded @> b.ts
WHERE b.ts BETWEEN %(first)s AND %(last)s
ORDER BY b.series_id, b.ts
"""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Name the stored bars next to a window: the first of `older`, the last of `newer` ones."""

    first: datetime | None
    older: int
    last: datetime | None
    newer: int


def neighbours(
    windows: Sequence[tuple[int, Window, timedelta]], *, limit: int
) -> dict[int, Neighbours]:
    """Find up to `limit` loaded bars on either side of (series, window, reach), by place."""
    with connection.cursor() as cursor:
        cursor.execute(
            _NEIGHBOURS,
            {
                "series": [series_id for series_id, _, _ in windows],
                "starts": [window.start for _, window, _ in windows],
                "ends": [window.end for _, window, _ in windows],
                "reaches": [reach for _, _, reach in windows],
                "first": min(window.start - reach for _, window, reach in windows),
                "last": max(window.end + reach for _, window, reach in windows),
                "limit": limit,
            },
        )
        return {int(n) - 1: Neighbours(*found) for n, *found in cursor.fetchall()}


def loaded_bars(stamps: Mapping[int, NDArray[np.int64]]) -> dict[int, Bars]:
    """Read the final bars at stamps, in µs, that are stored and not in doubt, by series."""
    wanted = {series_id: column for series_id, column in stamps.items() if len(column)}
    if not wanted:
        return {}
    ids = np.repeat(list(wanted), [len(column) for column in wanted.values()])
    moments = np.concatenate(list(wanted.values()))
    with connection.cursor() as cursor:
        cursor.execute(
            _PRICES,
            {
                "series": ids.tolist(),
                "stamps": [from_us(us) for us in moments.tolist()],
                "first": from_us(int(moments.min())),
                "last": from_us(int(moments.max())),
            },
        )
        rows = cursor.fetchall()
    by_series: dict[int, list[tuple[int, float, float, float, float]]] = {}
    for series_id, at, *prices in rows:
        by_series.setdefault(series_id, []).append((to_us(at), *prices))
    return {series_id: _bars(found) for series_id, found in by_series.items()}


def _bars(rows: Sequence[tuple[int, float, float, float, float]]) -> Bars:
    ts, open_, high, low, close = zip(*rows, strict=True)
    return Bars.build(ts=ts, open=open_, high=high, low=low, close=close)
