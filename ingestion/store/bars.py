"""Write fetched bars to `bar` and `bar_revision`; nothing else fills them.

A call locks its series, reads what is stored in its windows and compares in memory. New rows go
straight in by binary COPY; rows that differ go through one statement that keeps the superseded
final version in `bar_revision`; equal rows cost nothing.

The locks come first and every statement sees what was committed before it (READ COMMITTED), so
two calls for one series never miss each other's rows. Bars that a person lets go leave by
ingestion.store.bars_withdraw, under the same locks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
from django.db import IntegrityError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from numpy.typing import NDArray

from ingestion.domain.windows import from_us, to_us
from ingestion.store.bars_compare import (
    PRICES_AND_VOLUME,
    BarTable,
    Difference,
    InvalidBatch,
    Keys,
    SeriesBars,
    Windows,
    compare,
    disjoint_rounds,
    gather,
)
from ingestion.store.copyformat import (
    BOOL,
    FLOAT8,
    INT4,
    INT8,
    TIMESTAMPTZ,
    Column,
    Values,
    WireType,
    decode_array,
    encode_array,
    encode_rows,
    wire_cursor,
)
from ingestion.store.partitions import (
    FIRST_YEAR,
    MissingPartition,
    missing_years,
    partition_of,
)
from providers.bars import Bars

LOCK_CLASS = 7301
LOCK_STRIPES = 1024

# A program that does not take our locks may insert between our read and our COPY. Reading again
# shows its rows; only an isolation level that hides them can make this many tries fail.
_TRIES = 5

__all__ = [
    "COLUMNS",
    "LOCK_CLASS",
    "LOCK_STRIPES",
    "InvalidBatch",
    "MissingPartition",
    "SeriesBars",
    "WriteContended",
    "WriteCounts",
    "lock_series",
    "write_bars",
]

COLUMNS: dict[str, WireType] = {
    "ts": TIMESTAMPTZ,
    "known_from": TIMESTAMPTZ,
    "attempt_id": INT8,
    "open": FLOAT8,
    "high": FLOAT8,
    "low": FLOAT8,
    "close": FLOAT8,
    "series_id": INT4,
    "sequence": INT4,
    "final": BOOL,
    "trades": INT4,
    "volume": FLOAT8,
    "vwap": FLOAT8,
}
_SENT = {name: wire for name, wire in COLUMNS.items() if name != "known_from"}
_READ_BACK: dict[str, WireType] = {
    "ts": TIMESTAMPTZ,
    **dict.fromkeys(PRICES_AND_VOLUME, FLOAT8),
    "trades": INT4,
    "final": BOOL,
    "sequence": INT4,
    "batch": INT4,
}
_SQL_TYPES = {
    INT4: "int4[]",
    INT8: "int8[]",
    FLOAT8: "float8[]",
    BOOL: "bool[]",
    TIMESTAMPTZ: "timestamptz[]",
}

_LOCK = """
SELECT clock_timestamp(), locked.n
FROM (SELECT count(pg_advisory_xact_lock(%s, stripe)) AS n
      FROM unnest(%s::int4[]) AS stripe) AS locked
"""

# The outer bounds repeat what the windows say: as constants they let the planner drop partitions.
_READ = f"""
SELECT {", ".join(f"array_agg({name})" for name in _READ_BACK)}
FROM (
    SELECT b.ts, b.open, b.high, b.low, b.close, coalesce(b.volume, 'NaN') AS volume,
           coalesce(b.vwap, 'NaN') AS vwap, coalesce(b.trades, -1) AS trades, b.final, b.sequence,
           w.position::int4 - 1 AS batch
    FROM unnest(%s::int4[], %s::timestamptz[], %s::timestamptz[])
         WITH ORDINALITY AS w (series_id, window_start, window_end, position)
    JOIN bar b ON b.series_id = w.series_id AND b.ts >= w.window_start AND b.ts < w.window_end
    WHERE b.ts >= %s AND b.ts < %s
) AS stored
"""

_ARRAYS = ", ".join(f"%({name})s::{_SQL_TYPES[wire]}" for name, wire in _SENT.items())

_COPY = f"COPY {{table}} ({', '.join(COLUMNS)}) FROM STDIN (FORMAT binary)"

# Straight into a partition COPY is a seventh faster than through the parent; a smaller part does
# not earn the look at the catalogue.
_ROWS_WORTH_A_PARTITION = 5_000

# Both parts see the table as it was before the statement: the first keeps the final versions that
# the second replaces. The clock may stand still or step back; a row's versions never do.
_REPLACE = f"""
WITH incoming AS MATERIALIZED (
    SELECT * FROM unnest({_ARRAYS}) AS i ({", ".join(_SENT)})
), superseded AS (
    INSERT INTO bar_revision ({", ".join(COLUMNS)}, known_to)
    SELECT {", ".join(f"b.{name}" for name in COLUMNS)},
           greatest(%(known_from)s, b.known_from + interval '1 microsecond')
    FROM incoming i
    JOIN bar b ON b.series_id = i.series_id AND b.ts = i.ts AND b.sequence = i.sequence
    WHERE b.final AND b.ts BETWEEN %(first)s AND %(last)s
)
INSERT INTO bar AS b ({", ".join(_SENT)}, known_from)
SELECT ts, attempt_id, open, high, low, close, series_id, sequence, final,
       nullif(trades, -1), nullif(volume, 'NaN'), nullif(vwap, 'NaN'), %(known_from)s
FROM incoming
ON CONFLICT (series_id, ts, sequence) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in _SENT)},
    known_from = greatest(excluded.known_from, b.known_from + interval '1 microsecond')
"""


@dataclass(frozen=True, slots=True)
class WriteCounts:
    """Count what became of one batch.

    `inserted` are new rows of `bar`; `revised` are rows whose superseded final version went to
    `bar_revision`; `unchanged` is the rest of the batch: equal bars, forming bars that were
    replaced or became final in place, and forming bars of a stamp that is final already, which
    are ignored. So over all batches ever written, the sum of `inserted` is the number of bars and
    the sum of `revised` the number of revisions. `vanished` are stored final bars inside the
    window that the batch does not have, stamped `vanished_ts`; they stay.
    """

    inserted: int
    unchanged: int
    revised: int
    vanished: int
    vanished_ts: Keys = field(default_factory=lambda: np.empty(0, np.int64), compare=False)


class WriteContended(RuntimeError):
    """Signal rows that keep appearing under a writer which holds the locks of their series."""

    def __init__(self, *, tries: int) -> None:
        super().__init__(
            f"another program keeps inserting the same bars ({tries} tries); stop what writes "
            "to table bar besides mdc, and see that transactions run at READ COMMITTED"
        )
        self.tries = tries


def write_bars(connection: BaseDatabaseWrapper, batches: Sequence[SeriesBars]) -> list[WriteCounts]:
    """Store bars in the caller's transaction; return the counts in the order of the batches.

    Takes the advisory locks of all series first. `known_from` is PostgreSQL's clock after that,
    and always later than the version it supersedes. Where windows of one series overlap, the
    batch that stands later in the call is written later. Raises InvalidBatch, MissingPartition,
    WriteContended, TransactionManagementError outside of a transaction, and Django's database
    errors; the caller's transaction must then be rolled back.
    """
    if not batches:
        return []
    if not connection.in_atomic_block:
        raise TransactionManagementError("write_bars needs a transaction: wrap it in atomic()")
    rounds = [
        (places, *gather([batches[place] for place in places]))
        for places in disjoint_rounds(batches)
    ]
    known_from = lock_series(connection, [batch.series_id for batch in batches])
    counts: dict[int, WriteCounts] = {}
    for places, windows, incoming in rounds:
        written = _write_round(connection, windows, incoming, known_from=known_from)
        counts.update(zip(places, written, strict=True))
    return [counts[place] for place in range(len(batches))]


def lock_series(connection: BaseDatabaseWrapper, series_ids: Sequence[int]) -> datetime:
    """Take the advisory locks of the series until the transaction ends; return the time after.

    Stripes are taken in ascending order, so that two callers never wait for each other.
    """
    stripes = np.unique(np.array(series_ids, np.int32) % LOCK_STRIPES)
    with connection.wrap_database_errors, _cursor(connection) as cursor:
        cursor.execute(_LOCK, [LOCK_CLASS, encode_array(INT4, stripes)])
        row = cursor.fetchone()
    assert row is not None  # an aggregate without GROUP BY always answers
    moment: datetime = row[0]
    return moment


def _cursor(connection: BaseDatabaseWrapper) -> psycopg.Cursor[Any]:
    return wire_cursor(connection.connection)


def _write_round(
    connection: BaseDatabaseWrapper, windows: Windows, incoming: BarTable, *, known_from: datetime
) -> list[WriteCounts]:
    """Write batches whose windows are disjoint."""
    for _ in range(_TRIES):
        difference = compare(windows, incoming, _read(connection, windows))
        new = _outgoing(windows, incoming.take(difference.new))
        if _insert(connection, new, known_from=known_from):
            break
    else:
        raise WriteContended(tries=_TRIES)
    replaced = _outgoing(windows, incoming.take(difference.replaced))
    _replace(connection, replaced, known_from=known_from)
    return _count(incoming, difference, batches=len(windows.series_ids))


def _read(connection: BaseDatabaseWrapper, windows: Windows) -> BarTable:
    """Fetch what is stored in the windows, in the order of its keys."""
    bounds = [from_us(windows.starts.min()), from_us(windows.ends.max())]
    with connection.wrap_database_errors, _cursor(connection) as cursor:
        cursor.execute(
            _READ,
            [
                encode_array(INT4, windows.series_ids),
                encode_array(TIMESTAMPTZ, windows.starts),
                encode_array(TIMESTAMPTZ, windows.ends),
                *bounds,
            ],
        )
        result = cursor.pgresult
        assert result is not None
        read = {
            name: decode_array(wire, result.get_value(0, place))
            for place, (name, wire) in enumerate(_READ_BACK.items())
        }
    stored = BarTable(read.pop("batch"), Bars(**read))
    positions = windows.positions(stored)
    step = np.diff(positions)
    if ((step < 0) | ((step == 0) & (np.diff(stored.bars.sequence) < 0))).any():
        # Rows come in the order of the heap where the planner does not walk the index.
        return stored.take(np.lexsort((stored.bars.sequence, positions)))
    return stored


def _outgoing(windows: Windows, table: BarTable) -> dict[str, Values]:
    """Return the columns of `bar` for the rows, but for `known_from`."""
    own: dict[str, Values] = {
        "series_id": windows.series_ids[table.batch],
        "attempt_id": windows.attempt_ids[table.batch],
    }
    return {name: own[name] if name in own else getattr(table.bars, name) for name in _SENT}


def _insert(
    connection: BaseDatabaseWrapper, rows: dict[str, Values], *, known_from: datetime
) -> bool:
    """Copy new rows in; return False, with nothing inserted, where one of them exists by now."""
    count = len(rows["ts"])
    if not count:
        return True
    absent = {
        "trades": rows["trades"] == -1,
        "volume": np.isnan(rows["volume"]),
        "vwap": np.isnan(rows["vwap"]),
    }
    values = {**rows, "known_from": np.full(count, to_us(known_from))}
    columns = [Column(wire, values[name], absent.get(name)) for name, wire in COLUMNS.items()]
    parts = _partitions(connection, rows["ts"])
    try:
        with (
            transaction.atomic(using=connection.alias),
            connection.wrap_database_errors,
            _cursor(connection) as cursor,
        ):
            for table, part in parts.items():
                with cursor.copy(_COPY.format(table=table)) as copy:
                    for buffer in encode_rows(
                        columns if part is None else [one.take(part) for one in columns]
                    ):
                        copy.write(buffer)
    except IntegrityError as error:
        if isinstance(error.__cause__, psycopg.errors.UniqueViolation):
            return False
        if isinstance(error.__cause__, psycopg.errors.CheckViolation):
            raise _missing_partition(connection, rows["ts"]) from error
        raise
    return True


def _partitions(
    connection: BaseDatabaseWrapper, stamps: Keys
) -> dict[str, NDArray[np.bool_] | None]:
    """Return where to copy rows to, each place with its rows; None means all of them.

    Reading has locked the parent, so that a partition seen attached stays so until the end.
    """
    first, last = from_us(stamps.min()).year, from_us(stamps.max()).year
    years = range(first, last + 1)
    if first < FIRST_YEAR or len(stamps) < _ROWS_WORTH_A_PARTITION * len(years):
        return {"bar": None}
    if missing_years(connection, first_year=first, last_year=last):
        return {"bar": None}
    if first == last:
        return {partition_of(first): None}
    edges = [to_us(datetime(year, 1, 1, tzinfo=UTC)) for year in years[1:]]
    year = first + np.searchsorted(edges, stamps, side="right")
    return {partition_of(one): year == one for one in np.unique(year).tolist()}


def _missing_partition(connection: BaseDatabaseWrapper, stamps: Keys) -> MissingPartition:
    """Name the years; the table has no other check than that a row has a partition."""
    first, last = from_us(stamps.min()).year, from_us(stamps.max()).year
    return MissingPartition(
        years=missing_years(connection, first_year=first, last_year=last) or [first, last]
    )


def _replace(
    connection: BaseDatabaseWrapper, rows: dict[str, Values], *, known_from: datetime
) -> None:
    """Put rows in the place of their stored versions, keeping those that were final."""
    if not len(rows["ts"]):
        return
    arrays = {name: encode_array(wire, rows[name]) for name, wire in _SENT.items()}
    span = {"first": from_us(rows["ts"].min()), "last": from_us(rows["ts"].max())}
    with connection.wrap_database_errors, _cursor(connection) as cursor:
        cursor.execute(_REPLACE, {**arrays, **span, "known_from": known_from})


def _count(incoming: BarTable, difference: Difference, *, batches: int) -> list[WriteCounts]:
    """Split the difference by batch."""

    def per_batch(of: NDArray[np.int32]) -> list[int]:
        counted: list[int] = np.bincount(of, minlength=batches).tolist()
        return counted

    inserted = per_batch(incoming.batch[difference.new])
    known = per_batch(difference.known)
    revised = per_batch(difference.revised)
    vanished = per_batch(difference.vanished)
    return [
        WriteCounts(
            inserted=inserted[i],
            unchanged=known[i] - revised[i],
            revised=revised[i],
            vanished=vanished[i],
            vanished_ts=difference.vanished_ts[difference.vanished == i],
        )
        for i in range(batches)
    ]
