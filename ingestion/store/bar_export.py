"""Stream bars out of PostgreSQL as text that PostgreSQL itself writes."""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import datetime

from django.db import connection

from ingestion.store.series_reads import SeriesRow

COLUMNS = (
    "provider",
    "symbol",
    "event_type",
    "timeframe",
    "adjustment",
    "ts",
    "sequence",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "vwap",
    "trades",
)
# Rows come one by one; handing them on in blocks spares a call for each.
_BLOCK = 256 * 1024


class ExportFormat(enum.StrEnum):
    """Choose CSV without a header, or one JSON object a line."""

    CSV = "csv"
    JSON = "json"


# PostgreSQL's shortest text of a double reads back as the very same number. Fractions of a
# second are written only where there are any.
_ROWS = """
SELECT %(provider)s::text AS provider, %(symbol)s::text AS symbol,
       %(event_type)s::text AS event_type, %(timeframe)s::text AS timeframe,
       %(adjustment)s::text AS adjustment,
       to_char(ts AT TIME ZONE 'UTC',
               CASE WHEN ts = date_trunc('second', ts) THEN 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
                    ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' END) AS ts,
       sequence, open, high, low, close, volume, vwap, trades
FROM (
    SELECT * FROM bar
    WHERE series_id = %(id)s AND ts >= %(start)s AND ts < %(end)s
    ORDER BY bar.ts, bar.sequence
) b
"""
_COPY = {
    ExportFormat.CSV: f"COPY ({_ROWS}) TO STDOUT WITH (FORMAT csv)",
    # Neither character occurs in JSON, so every line leaves exactly as it was made.
    ExportFormat.JSON: f"COPY (SELECT row_to_json(r) FROM ({_ROWS}) r) TO STDOUT"
    " WITH (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')",
}


def freeze_snapshot() -> None:
    """Let the transaction that has just begun see one unchanging state, and write nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def copy_bars(
    series: SeriesRow,
    *,
    start: datetime | None,
    end: datetime | None,
    form: ExportFormat,
    sink: Callable[[bytes], object],
) -> int:
    """Write the bars of a series in [start, end), ascending; return how many there were.

    Memory stays flat: PostgreSQL walks its key, and blocks of text go to `sink` as they come.
    """
    values = {
        "id": series.id,
        "provider": series.provider,
        "symbol": series.symbol,
        "event_type": series.event_type,
        "timeframe": series.timeframe.value,
        "adjustment": series.adjustment.value,
        "start": start or "-infinity",
        "end": end or "infinity",
    }
    block = bytearray()
    with connection.cursor() as cursor:
        with cursor.copy(_COPY[form], values) as rows:
            for row in rows:
                block += row
                if len(block) >= _BLOCK:
                    sink(bytes(block))
                    block.clear()
        count = cursor.rowcount
    if block:
        sink(bytes(block))
    return int(count)
