"""Find series whose provider has moved their prices to a new basis since they were stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db import connection

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
