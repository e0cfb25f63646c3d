"""The only writer of `outbox`: what is still to be delivered, in the order of commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from ingestion.domain.windows import Window, from_us
from ingestion.store.copyformat import (
    BOOL,
    FLOAT8,
    INT4,
    INT8,
    TIMESTAMPTZ,
    WireType,
    decode_array,
    wire_cursor,
)
from providers.bars import Bars

# So many notes are looked at for one batch.
_NOTES = 1_000


@dataclass(frozen=True, slots=True)
class Committed:
    """Name the bars that one attempt brought; `rows` is how many, at most."""

    job_id: int
    series_id: int
    attempt_id: int
    window: Window
    rows: int


# Written under the locks of the series, so that within a series the order of ids is that of
# commits. A paused target collects as well: nothing that is committed may pass it by.
_ENQUEUE = """
INSERT INTO outbox (target_id, series_id, "window", attempt_id, rows)
SELECT t.id, g.series_id, tstzrange(g.starts, g.ends), g.attempt_id, g.rows
FROM unnest(%s::bigint[], %s::int[], %s::bigint[], %s::timestamptz[], %s::timestamptz[],
            %s::bigint[])
     WITH ORDINALITY AS g (job_id, series_id, attempt_id, starts, ends, rows, position)
JOIN job j ON j.id = g.job_id
JOIN series s ON s.id = g.series_id
JOIN instrument i ON i.id = s.instrument_id
JOIN target t ON (j.targets IS NULL OR t.name = ANY(j.targets))
             AND (t.providers IS NULL OR s.provider = ANY(t.providers))
             AND (t.symbols IS NULL OR i.symbol = ANY(t.symbols))
             AND (t.timeframes IS NULL OR s.timeframe = ANY(t.timeframes))
ORDER BY g.position, t.id
FOR KEY SHARE OF t
"""


def enqueue(committed: Sequence[Committed]) -> int:
    """Note for every target that matches what it is to be sent; return how many notes.

    Belongs in the transaction that stored the bars, after write_bars. Costs one look at an empty
    table where nobody has a target.
    """
    brought = [one for one in committed if one.rows]
    if not brought:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM target)")
        (wanted,) = cursor.fetchone()
        if not wanted:
            return 0
        cursor.execute(
            _ENQUEUE,
            [
                [one.job_id for one in brought],
                [one.series_id for one in brought],
                [one.attempt_id for one in brought],
                [one.window.start for one in brought],
                [one.window.end for one in brought],
                [one.rows for one in brought],
            ],
        )
        return int(cursor.rowcount)


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold one note: bars of this window that this attempt or a later one wrote."""

    id: int
    series_id: int
    window: Window
    attempt_id: int
    rows: int


def take(target_id: int, *, at_most: int) -> list[Entry]:
    """Return the oldest notes of a target, as many as their bars fit, and at least one."""
    return _entries(
        "SELECT * FROM ("
        "  SELECT o.*, sum(o.rows) OVER (ORDER BY o.id) - o.rows AS before FROM ("
        "    SELECT * FROM outbox WHERE target_id = %s ORDER BY id LIMIT %s) o) o"
        " WHERE before < %s",
        [target_id, _NOTES, at_most],
    )


def take_again(target_id: int, *, ids: Sequence[int]) -> list[Entry]:
    """Return the notes of a batch that was begun before."""
    return _entries(
        "SELECT * FROM outbox WHERE target_id = %s AND id = ANY(%s)", [target_id, list(ids)]
    )


def _entries(query: str, values: list[Any]) -> list[Entry]:
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT id, series_id, lower("window"), upper("window"), attempt_id, rows'
            f" FROM ({query}) found ORDER BY id",
            values,
        )
        return [
            Entry(number, series_id, Window(start, end), attempt_id, rows)
            for number, series_id, start, end, attempt_id, rows in cursor.fetchall()
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Noted:
    """Hold the bars of some notes by (position of the note, ts, sequence)."""

    position: NDArray[np.int64]
    bars: Bars
    known_from_us: NDArray[np.int64]
    attempt_id: NDArray[np.int64]


_READ_COLUMNS: dict[str, WireType] = {
    "ts": TIMESTAMPTZ,
    **dict.fromkeys(("open", "high", "low", "close", "volume", "vwap"), FLOAT8),
    "trades": INT4,
    "final": BOOL,
    "sequence": INT4,
    "known_from": TIMESTAMPTZ,
    "attempt_id": INT8,
    "position": INT8,
}
# The outer bounds repeat what the windows say: as constants they let the planner drop partitions.
_READ = f"""
SELECT {", ".join(f"array_agg({name})" for name in _READ_COLUMNS)}
FROM (
    SELECT b.*, w.position - 1 AS position
    FROM unnest(%(series)s::int4[], %(starts)s::timestamptz[], %(ends)s::timestamptz[],
                %(attempts)s::int8[])
         WITH ORDINALITY AS w (series_id, window_start, window_end, attempt_id, position)
    CROSS JOIN LATERAL (
        SELECT ts, open, high, low, close, coalesce(volume, 'NaN') AS volume,
               coalesce(vwap, 'NaN') AS vwap, coalesce(trades, -1) AS trades, final, sequence,
               known_from, attempt_id
        FROM bar
        WHERE bar.series_id = w.series_id AND bar.ts >= w.window_start AND bar.ts < w.window_end
          AND bar.ts >= %(first)s AND bar.ts < %(last)s AND bar.attempt_id >= w.attempt_id
        ORDER BY bar.ts, bar.sequence LIMIT %(each)s
    ) b
    ORDER BY w.position, b.ts, b.sequence
) AS noted
"""


def read_bars(entries: Sequence[Entry], *, each: int | None) -> Noted:
    """Read what the bar table holds now of the notes; at most so many bars of `each`."""
    with connection.cursor():  # opens the connection where none is open yet
        pass
    with connection.wrap_database_errors, wire_cursor(connection.connection) as cursor:
        cursor.execute(
            _READ,
            {
                "series": [one.series_id for one in entries],
                "starts": [one.window.start for one in entries],
                "ends": [one.window.end for one in entries],
                "attempts": [one.attempt_id for one in entries],
                "first": min(one.window.start for one in entries),
                "last": max(one.window.end for one in entries),
                "each": each,
            },
        )
        result = cursor.pgresult
        assert result is not None
        read = {
            name: decode_array(wire, result.get_value(0, place))
            for place, (name, wire) in enumerate(_READ_COLUMNS.items())
        }
    known_from_us, attempt_id = read.pop("known_from"), read.pop("attempt_id")
    return Noted(read.pop("position"), Bars(**read), known_from_us, attempt_id)


def strike(ids: Sequence[int], *, until_us: int | None, rows: int) -> None:
    """Remove delivered notes; of the last one only what lies before `until_us`, where given.

    `rows` is how many bars of that last note were delivered.
    """
    whole = list(ids if until_us is None else ids[:-1])
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM outbox WHERE id = ANY(%s)", [whole])
        if until_us is not None:
            cursor.execute(
                'UPDATE outbox SET "window" = tstzrange(%s, upper("window")),'
                " rows = greatest(rows - %s, 0) WHERE id = %s",
                [from_us(until_us), rows, ids[-1]],
            )


# One series at a time, so that no statement takes long.
_REPLAY = """
INSERT INTO outbox (target_id, series_id, "window", attempt_id, rows)
SELECT %(target)s, %(series)s, tstzrange(held.first, held.last + interval '1 us'), 0, held.rows
FROM (SELECT min(ts) AS first, max(ts) AS last, count(*) AS rows FROM bar
      WHERE series_id = %(series)s AND ts >= %(start)s AND ts < %(end)s) held
WHERE held.rows > 0
RETURNING rows
"""


def note_stored(
    target_id: int, *, series_id: int, start: datetime | None, end: datetime | None
) -> int:
    """Note for a target what is stored of a series in a window; return how many bars that is."""
    with connection.cursor() as cursor:
        cursor.execute(
            _REPLAY,
            {
                "target": target_id,
                "series": series_id,
                "start": start or "-infinity",
                "end": end or "infinity",
            },
        )
        found = cursor.fetchone()
    return int(found[0]) if found else 0
