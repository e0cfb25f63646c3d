"""The wire formats agree with psycopg's own and with the server's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.windows import from_us, to_us
from ingestion.store.copyformat import (
    BOOL,
    CHUNK_BYTES,
    COPY_HEADER,
    COPY_TRAILER,
    FLOAT8,
    INT4,
    INT8,
    TIMESTAMPTZ,
    Column,
    WireType,
    decode_array,
    encode_array,
    encode_rows,
    wire_cursor,
)

_moments = st.integers(-62_135_510_400_000_000, 253_402_214_400_000_000).map(from_us)
_int4 = st.integers(-(2**31), 2**31 - 1)
_int8 = st.integers(-(2**63), 2**63 - 1)
_ROWS = st.lists(
    st.tuples(_int4, _int8, st.floats() | st.none(), st.booleans(), _moments, _int4 | st.none()),
    max_size=40,
)
_TYPES = (INT4, INT8, FLOAT8, BOOL, TIMESTAMPTZ, INT4)


def _column(wire: WireType, values: Sequence[Any]) -> Column:
    given = [0 if value is None else value for value in values]
    plain = [to_us(value) if isinstance(value, datetime) else value for value in given]
    native = np.dtype(wire.dtype).newbyteorder("=")
    absent = np.array([value is None for value in values], np.bool_)
    return Column(wire, np.array(plain, native), absent)


@pytest.mark.django_db
@given(rows=_ROWS)
def test_rows_arrive_as_psycopg_would_send_them(rows: list[tuple[Any, ...]]):
    """The server reads our stream and returns exactly the values, NULLs where they were."""
    columns = [_column(wire, [row[i] for row in rows]) for i, wire in enumerate(_TYPES)]
    with transaction.atomic(), wire_cursor(connection.connection) as cursor:
        cursor.execute(
            "CREATE TEMP TABLE sent (a int4, b int8, c float8, d bool, e timestamptz, f int4)"
        )
        with cursor.copy("COPY sent FROM STDIN (FORMAT binary)") as copy:
            for buffer in encode_rows(columns):
                copy.write(buffer)
        received = cursor.execute("SELECT * FROM sent").fetchall()
        transaction.set_rollback(True)
    assert sorted(map(repr, received)) == sorted(map(repr, rows))


def test_a_stream_is_cut_into_buffers_of_bounded_size():
    """Encoding proceeds while the server works on what it has; memory stays bounded."""
    n = 20_000
    columns = [Column(FLOAT8, np.arange(n, dtype=np.float64)), Column(INT4, np.arange(n))]
    buffers = list(encode_rows(columns))
    assert (buffers[0], buffers[-1]) == (COPY_HEADER, COPY_TRAILER)
    assert len(buffers) > 4
    assert all(len(buffer) <= CHUNK_BYTES for buffer in buffers)
    row_bytes = 2 + 4 + 8 + 4 + 4
    assert sum(map(len, buffers[1:-1])) == n * row_bytes


def test_no_rows_are_an_empty_stream():
    """Header and trailer alone are a valid COPY of nothing."""
    assert list(encode_rows([Column(INT4, np.empty(0, np.int32))])) == [COPY_HEADER, COPY_TRAILER]


@pytest.mark.django_db
@given(values=st.lists(_int8, max_size=20), floats=st.lists(st.floats(), max_size=20))
def test_arrays_survive_the_way_there_and_back(values: list[int], floats: list[float]):
    """The server understands our arrays, and we understand its."""
    with wire_cursor(connection.connection) as cursor:
        cursor.execute(
            "SELECT a, b, cardinality(a) FROM (SELECT %s::int8[] AS a, %s::float8[] AS b) AS sent",
            [
                encode_array(INT8, np.array(values, np.int64)),
                encode_array(FLOAT8, np.array(floats)),
            ],
        )
        result = cursor.pgresult
        assert result is not None
        assert cursor.fetchone()[2] == len(values)
        np.testing.assert_array_equal(decode_array(INT8, result.get_value(0, 0)), values)
        np.testing.assert_array_equal(decode_array(FLOAT8, result.get_value(0, 1)), floats)


@pytest.mark.django_db
def test_timestamps_count_from_the_unix_epoch():
    """PostgreSQL's own epoch shows nowhere outside of the wire."""
    moments = [datetime(1969, 12, 31, 23, 59, tzinfo=UTC) + timedelta(days=d) for d in range(3)]
    stamps = np.array([to_us(moment) for moment in moments])
    with wire_cursor(connection.connection) as cursor:
        cursor.execute("SELECT %s::timestamptz[]", [encode_array(TIMESTAMPTZ, stamps)])
        result = cursor.pgresult
        assert result is not None
        assert cursor.fetchone() == (moments,)
        np.testing.assert_array_equal(decode_array(TIMESTAMPTZ, result.get_value(0, 0)), stamps)


def test_no_array_is_an_empty_one():
    """array_agg over no rows answers NULL."""
    assert len(decode_array(INT4, None)) == 0


@pytest.mark.django_db
@pytest.mark.parametrize("array", ["'{1,2}'::int8[]", "'{{1},{2}}'::int4[]", "'{1,NULL}'::int4[]"])
def test_an_array_of_another_kind_is_refused(array: str):
    """Wrong type, two dimensions and NULLs have other bytes; they must not be read as ours."""
    with wire_cursor(connection.connection) as cursor:
        result = cursor.execute(psycopg.sql.SQL("SELECT " + array)).pgresult
    assert result is not None
    with pytest.raises(ValueError, match="one-dimensional array of type 23"):
        decode_array(INT4, result.get_value(0, 0))
