"""Stored bars to read, made by PostgreSQL itself: filling takes less time than measuring."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from django.db import connection

from ingestion.models import Instrument, Series
from ingestion.store.partitions import ensure_partitions

FIRST: Final = datetime(2010, 1, 4, 14, 30, tzinfo=UTC)
ROWS_OF_A_SERIES: Final = 1_000_000
# Prices in cents and whole volumes, as they are; every seventh bar has no average price.
_FILL: Final = """
INSERT INTO bar (ts, known_from, attempt_id, open, high, low, close, series_id, sequence, final,
                 trades, volume, vwap)
SELECT %(first)s::timestamptz + n * interval '1 minute', '2025-06-01Z', 1,
       100 + n %% 977 / 100.0, 101 + n %% 977 / 100.0, 99 + n %% 977 / 100.0,
       100.25 + n %% 977 / 100.0, %(series)s, 0, true, n %% 900, 100 + n %% 90000,
       CASE WHEN n %% 7 > 0 THEN 100.125 + n %% 977 / 100.0 END
FROM generate_series(0, %(rows)s - 1) AS n
"""


def fill_minutes(*, series: int, rows: int = ROWS_OF_A_SERIES) -> list[str]:
    """Store minutes around the clock for as many symbols; return the symbols, in order.

    What earlier calls stored stays, and is not stored again.
    """
    ensure_partitions(connection, first_year=2010, last_year=2015)
    symbols = [f"READ{n:03}" for n in range(series)]
    for symbol in symbols:
        instrument, _ = Instrument.objects.get_or_create(symbol=symbol, defaults={"venue": "24/7"})
        one, created = Series.objects.get_or_create(
            provider="synthetic", instrument=instrument, timeframe="1m", adjustment="raw"
        )
        if created:
            with connection.cursor() as cursor:
                cursor.execute(_FILL, {"first": FIRST, "series": one.id, "rows": rows})
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE bar")
    return symbols
