"""Read stored bars as columns, chunk by chunk, over a plain psycopg connection.

Needs neither Django nor its settings, so that a notebook and an export read in the same way.

A chunk is one row of as many byte strings as there are columns: PostgreSQL joins the binary form
of the values, numpy reads them in place. That is half again as fast as arrays (which repeat a
length before every element), and unlike COPY it costs this process nothing per row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from ingestion.domain.windows import from_us, to_us
from ingestion.store.copyformat import (
    BOOL,
    FLOAT8,
    INT4,
    TIMESTAMPTZ,
    WireType,
    wire_cursor,
)
from providers.bars import Bars

CHUNK_ROWS: Final = 65_536

# Values that a caller did not ask for come as absent, a chunk's keys always come.
COLUMNS: Final = ("open", "high", "low", "close", "volume", "vwap", "trades", "final")
PRICES: Final = ("open", "high", "low", "close")

_WIRE: Final[dict[str, WireType]] = {
    "ts": TIMESTAMPTZ,
    "sequence": INT4,
    **dict.fromkeys(("open", "high", "low", "close", "volume", "vwap"), FLOAT8),
    "trades": INT4,
    "final": BOOL,
}
_SEND: Final = {
    TIMESTAMPTZ: "timestamptz_send",
    INT4: "int4send",
    FLOAT8: "float8send",
    BOOL: "boolsend",
}
_ABSENT: Final = {"volume": "'NaN'", "vwap": "'NaN'", "trades": "-1"}
_KEYS: Final = ("ts", "sequence")
_BEFORE_EVERY_SEQUENCE: Final = -(2**31)

# The bounds on ts alone let the planner drop partitions, which a comparison of rows does not.
_WITHIN: Final = """
series_id = %(series)s AND ts >= %(start)s AND ts < %(end)s
    AND (ts, sequence) > (%(start)s, %(after)s)
"""
_NOW: Final = f"SELECT {{columns}} FROM bar WHERE {_WITHIN}"
# A bar has at most one version at a time. Forming bars have no history and were not known.
_THEN: Final = f"""
(SELECT {{columns}} FROM bar
 WHERE {_WITHIN} AND final AND known_from <= %(as_of)s
 ORDER BY ts, sequence LIMIT %(rows)s)
UNION ALL
(SELECT {{columns}} FROM bar_revision
 WHERE {_WITHIN} AND known_from <= %(as_of)s AND known_to > %(as_of)s
 ORDER BY ts, sequence LIMIT %(rows)s)
"""
# The limit keeps the order that the aggregates rely on: nothing is moved across it.
_CHUNK: Final = """
SELECT {packed}
FROM ({rows}
ORDER BY ts, sequence LIMIT %(rows)s) AS chunk
"""


@contextmanager
def snapshot(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Let everything read inside see one unchanging state of the database, and write nothing.

    Opens a transaction of its own: the connection must not be in one.
    """
    with connection.transaction():
        freeze(connection)
        yield


# A chunk is a walk along the key. Where statistics are young, or one series is most of a year,
# the planner would rather sort all of it once for every chunk, or compile code for it.
_FREEZE: Final = """
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL enable_sort = off;
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL jit = off
"""


def freeze(connection: psycopg.Connection[Any]) -> None:
    """Make the transaction that has just begun a snapshot, for walks along keys."""
    # Several commands in one message cannot be prepared, which psycopg does after some repeats.
    connection.execute(_FREEZE, prepare=False)


def read_chunks(
    connection: psycopg.Connection[Any],
    series_id: int,
    *,
    start: datetime | None,
    end: datetime | None,
    as_of: datetime | None = None,
    rows: int = CHUNK_ROWS,
    columns: Sequence[str] = COLUMNS,
) -> Iterator[Bars]:
    """Yield the bars of a series stamped in [start, end), ascending by (ts, sequence).

    Each chunk has 1 to `rows` bars, so that memory stays flat. With `as_of` come the final bars
    as they were known at that moment. `ts` and `sequence` always come; other columns that are not
    asked for hold their absent value (False for `final`). The chunks are one state of the
    database only inside `snapshot`.
    """
    wanted = (*_KEYS, *(name for name in COLUMNS if name in columns))
    query = _query(wanted, then=as_of is not None)
    values: dict[str, object] = {
        "series": series_id,
        "start": start or "-infinity",
        "end": end or "infinity",
        "after": _BEFORE_EVERY_SEQUENCE,
        "as_of": as_of,
        "rows": rows,
    }
    while True:
        chunk = _read(connection, query, values, columns=wanted)
        if len(chunk):
            values["start"] = from_us(chunk.ts[-1])
            values["after"] = int(chunk.sequence[-1])
            yield chunk
        if len(chunk) < rows:
            return


def read_bars(
    connection: psycopg.Connection[Any],
    series_id: int,
    *,
    start: datetime | None,
    end: datetime | None,
    as_of: datetime | None = None,
    columns: Sequence[str] = COLUMNS,
) -> Bars:
    """Return what `read_chunks` yields as one piece; for windows that are known to be small."""
    chunks = read_chunks(connection, series_id, start=start, end=end, as_of=as_of, columns=columns)
    return Bars.concat(list(chunks))


_BOUNDS: Final = """
SELECT min(edge.low), max(edge.high)
FROM unnest(%s::int[]) AS s (id)
CROSS JOIN LATERAL (SELECT min(ts) AS low, max(ts) AS high FROM bar WHERE series_id = s.id) edge
"""


def stamp_bounds(
    connection: psycopg.Connection[Any], series_ids: Sequence[int]
) -> tuple[int, int] | None:
    """Return the first and the last stamp of several series in µs, None where none has bars."""
    row = connection.execute(_BOUNDS, [list(series_ids)]).fetchone()
    return None if row is None or row[0] is None else (to_us(row[0]), to_us(row[1]))


def clock(connection: psycopg.Connection[Any]) -> datetime:
    """Return PostgreSQL's clock, by which `known_from` is stamped."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None  # a SELECT without FROM always answers
    moment: datetime = row[0]
    return moment


def _query(wanted: Sequence[str], *, then: bool) -> str:
    columns = ", ".join(
        f"coalesce({name}, {_ABSENT[name]}) AS {name}" if name in _ABSENT else name
        for name in wanted
    )
    packed = ", ".join(f"string_agg({_SEND[_WIRE[name]]}({name}), '')" for name in wanted)
    return _CHUNK.format(packed=packed, rows=(_THEN if then else _NOW).format(columns=columns))


def _read(
    connection: psycopg.Connection[Any],
    query: str,
    values: dict[str, object],
    *,
    columns: Sequence[str],
) -> Bars:
    with wire_cursor(connection) as cursor:
        cursor.execute(query, values)
        result = cursor.pgresult
        assert result is not None  # a statement that did not raise has one
        read = {
            name: _unpack(_WIRE[name], result.get_value(0, place))
            for place, name in enumerate(columns)
        }
    count = len(read["ts"])
    absent = {
        "trades": np.full(count, -1, np.int32),
        "final": np.zeros(count, np.bool_),
    }
    nothing = np.full(count, np.nan)
    return Bars(
        **{
            name: read[name] if name in read else absent.get(name, nothing)
            for name in Bars.__slots__
        }
    )


def _unpack(wire: WireType, data: bytes | None) -> NDArray[Any]:
    """Turn big-endian values that follow each other without gaps into a native column."""
    values = np.frombuffer(data or b"", wire.dtype).astype(np.dtype(wire.dtype).newbyteorder("="))
    return values + wire.origin if wire.origin else values
