"""PostgreSQL's binary wire formats, vectorised: rows for COPY, and one-dimensional arrays.

Arrays are how many values travel in one message: libpq hands COPY OUT to its caller row by row,
an array arrives as one buffer that numpy reads in place.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import pq
from psycopg.adapt import Buffer, Dumper

# PostgreSQL counts timestamps and dates from 2000-01-01, not from 1970.
PG_EPOCH_US = 946_684_800_000_000
PG_EPOCH_DAYS = 10_957

COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"
_NO_VALUE = -1

# psycopg splits larger buffers; chunks of this size also stay in the processor's cache, and the
# server works on one while the next is built.
CHUNK_BYTES = 128 * 1024

Mask = NDArray[np.bool_]
Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class WireType:
    """Describe a fixed-width type: its oid, its bytes on the wire, and where its zero lies."""

    oid: int
    dtype: str
    origin: int = 0

    @property
    def width(self) -> int:
        """Return the number of bytes of one value."""
        return np.dtype(self.dtype).itemsize


BOOL = WireType(16, "?")
INT8 = WireType(20, ">i8")
INT4 = WireType(23, ">i4")
FLOAT8 = WireType(701, ">f8")
DATE = WireType(1082, ">i4", PG_EPOCH_DAYS)
TIMESTAMPTZ = WireType(1184, ">i8", PG_EPOCH_US)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Hold one column to be sent: n values, and which of them are NULL (None: no one is).

    Timestamps are µs since the Unix epoch, dates are days.
    """

    type: WireType
    values: Values
    absent: Mask | None = None

    def take(self, rows: Mask) -> Column:
        """Select rows by mask, in their order."""
        absent = None if self.absent is None else self.absent[rows]
        return Column(self.type, self.values[rows], absent)


def encode_rows(columns: Sequence[Column]) -> Iterator[bytes | bytearray]:
    """Yield a complete binary COPY stream of the columns in buffers of about CHUNK_BYTES.

    Rows keep their order, except that within a buffer's worth of rows those with the same NULLs
    stand together: their bytes have one fixed width and are laid out by one template.
    """
    types = tuple(column.type for column in columns)
    pattern = _null_patterns(columns)
    step = max(1, CHUNK_BYTES // _template(types, 0)[1].itemsize)
    rows = len(columns[0].values)
    yield COPY_HEADER
    for start in range(0, rows, step):
        chunk = slice(start, min(start + step, rows))
        if pattern is None:
            yield _encode_chunk(columns, types, chunk, nulls=0)
            continue
        here = pattern[chunk]
        for nulls in np.unique(here).tolist():
            yield _encode_chunk(columns, types, start + np.flatnonzero(here == nulls), nulls=nulls)
    yield COPY_TRAILER


def _null_patterns(columns: Sequence[Column]) -> NDArray[np.int64] | None:
    """Return per row the set of NULL columns as bits, or None where no row has any."""
    pattern: NDArray[np.int64] | None = None
    for position, column in enumerate(columns):
        if column.absent is not None and column.absent.any():
            bits = column.absent.astype(np.int64) << position
            pattern = bits if pattern is None else pattern | bits
    return pattern


def _encode_chunk(
    columns: Sequence[Column],
    types: tuple[WireType, ...],
    rows: slice | NDArray[np.intp],
    *,
    nulls: int,
) -> bytearray:
    template, dtype = _template(types, nulls)
    count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
    buffer = bytearray(template) * count
    target = np.frombuffer(buffer, dtype)
    for position, column in enumerate(columns):
        if not nulls >> position & 1:
            origin = column.type.origin
            values = column.values[rows]
            target[f"v{position}"] = values - origin if origin else values
    return buffer


@functools.lru_cache(maxsize=256)
def _template(types: tuple[WireType, ...], nulls: int) -> tuple[bytes, np.dtype[np.void]]:
    """Return one row with its lengths filled in, and the layout that finds its values."""
    fields: list[tuple[str, str]] = [("count", ">i2")]
    for position, wire in enumerate(types):
        fields.append((f"n{position}", ">i4"))
        if not nulls >> position & 1:
            fields.append((f"v{position}", wire.dtype))
    row = np.zeros(1, np.dtype(fields))
    row["count"] = len(types)
    for position, wire in enumerate(types):
        row[f"n{position}"] = _NO_VALUE if nulls >> position & 1 else wire.width
    return row.tobytes(), row.dtype


class WireArray(bytes):
    """Mark bytes as the binary form of an array parameter; cast it in SQL: `%s::int8[]`."""


class _WireArrayDumper(Dumper):
    """Pass the bytes on as they are; oid 0 lets the cast in the statement name the type."""

    format = pq.Format.BINARY
    oid = 0

    def dump(self, obj: WireArray) -> Buffer:
        return bytes(obj)


def wire_cursor(connection: psycopg.Connection[Any]) -> psycopg.Cursor[Any]:
    """Open a cursor that binds on the server, takes WireArray parameters and answers in binary."""
    cursor: psycopg.Cursor[Any] = psycopg.Cursor(connection)
    cursor.adapters.register_dumper(WireArray, _WireArrayDumper)
    cursor.format = pq.Format.BINARY
    return cursor


def encode_array(wire: WireType, values: Values) -> WireArray:
    """Lay out values without NULLs as a one-dimensional array of that type."""
    elements = np.empty(len(values), [("n", ">i4"), ("v", wire.dtype)])
    elements["n"] = wire.width
    elements["v"] = values - wire.origin if wire.origin else values
    dimensions = 1 if len(values) else 0
    header = np.array([dimensions, 0, wire.oid, len(values), 1][: 5 if dimensions else 3], ">i4")
    return WireArray(header.tobytes() + elements.tobytes())


def decode_array(wire: WireType, data: bytes | None) -> Values:
    """Read a one-dimensional array without NULLs into native byte order; None is an empty one.

    Raises ValueError where the bytes are not such an array.
    """
    native = np.dtype(wire.dtype).newbyteorder("=")
    if data is None or data[:4] == bytes(4):
        return np.empty(0, native)
    dimensions, has_nulls, oid, length, _ = np.frombuffer(data, ">i4", 5).tolist()
    if (dimensions, has_nulls, oid) != (1, 0, wire.oid):
        raise ValueError(
            f"expected a one-dimensional array of type {wire.oid} without NULLs, "
            f"got {dimensions} dimensions of type {oid}"
        )
    elements = np.frombuffer(data, [("n", ">i4"), ("v", wire.dtype)], length, offset=20)
    values = elements["v"].astype(native)
    return values + wire.origin if wire.origin else values
