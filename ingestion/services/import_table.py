"""Adopt a table of bars: stream it into Parquet files, and declare these as a source.

From there on it is imported like any folder, so that a table's bars meet the same validation, and
can be read again. One COPY reads it, ordered by symbol and time; a batch of it is in memory at a
time.
"""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from psycopg import sql

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.services.declare_files import Declared, declare_files
from providers.files.columns import NUMBERS, find_roles
from providers.files.errors import BadLayout
from providers.files.layout import FileFormat

_BLOCK_BYTES = 4 * 1024 * 1024
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._^=+-]*")
# What a table's column is read as, by the name of its type.
_NUMERIC = frozenset({"int2", "int4", "int8", "float4", "float8", "numeric"})


@dataclass(frozen=True, slots=True)
class TableSource:
    """Name a table of bars: `table` with its schema if need be, `columns` by role.

    `symbol` and `timeframe` hold for all rows where no column tells them.
    """

    table: str
    dsn: str = field(repr=False)
    columns: Mapping[str, str] = field(default_factory=dict)
    symbol: str = ""
    timeframe: str = ""


@dataclass(frozen=True, slots=True)
class Adopted:
    """Hold what a table became: a declared source, of so many rows in so many files.

    `nameless` rows have no symbol and were left behind.
    """

    declared: Declared
    rows: int
    files: int
    nameless: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """Hold how a table is read: the expression of each role, and whether stamps are instants."""

    table: sql.Composable
    expressions: Mapping[str, sql.Composable]
    kinds: Mapping[str, str]


def import_table(
    name: str,
    wanted: TableSource,
    *,
    folder: Path,
    layout: Mapping[str, Any],
    actor: Actor,
) -> Adopted:
    """Copy a table into `folder` and declare it as `files:NAME`.

    What an earlier import of that name had left there is replaced once the copy is whole. Raises
    BadRequest.
    """
    form = FileFormat(
        columns=dict(wanted.columns), symbol=wanted.symbol, timeframe=wanted.timeframe
    )
    with _connected(wanted.dsn) as connection, _replacing(folder) as draft:
        plan = _plan(connection, wanted.table, form)
        written = _Files(draft)
        for batch in _batches(connection, plan):
            written.write(batch, has_symbols="symbol" in plan.expressions)
        written.close()
        if not written.rows:
            raise BadRequest(f"the table {wanted.table} has no rows", field="table")
    settings = _settings(layout, form, plan, renamed=written.renamed)
    declared = declare_files(name, str(folder), settings, actor=actor)
    return Adopted(declared, rows=written.rows, files=written.files, nameless=written.nameless)


@contextmanager
def _connected(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        connection = psycopg.connect(dsn, connect_timeout=10)
    except psycopg.ProgrammingError:
        raise BadRequest(
            "the address of the table's database must be like postgresql://user@host:5432/name",
            field="dsn",
        ) from None
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise BadRequest(f"the table's database does not answer: {reason}", field="dsn") from None
    with connection:
        connection.read_only = True
        connection.execute("SET datestyle TO 'ISO, YMD'")
        connection.execute("SET timezone TO 'UTC'")
        yield connection


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which takes the other one's place when nothing went wrong."""
    draft, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    for leftover in (draft, old):
        shutil.rmtree(leftover, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _plan(connection: psycopg.Connection[Any], table: str, form: FileFormat) -> _Plan:
    name = sql.Identifier(*table.split("."))
    try:
        cursor = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(name))
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise BadRequest(
            f"there is no table {table} in that database; name it as SCHEMA.TABLE", field="table"
        ) from None
    except psycopg.errors.InsufficientPrivilege:
        raise BadRequest(f"that user may not read the table {table}", field="table") from None
    described = cursor.description or []
    headers = [column.name for column in described]
    try:
        roles = find_roles(headers, form=form)
    except BadLayout as error:
        raise BadRequest(f"{table}: {error}", field="columns") from None
    for role, given in (("symbol", form.symbol), ("timeframe", form.timeframe)):
        if given:
            roles.pop(role, None)
        elif role not in roles:
            raise BadRequest(
                f"no column of {table} tells the {role}; give --{role}, or --columns {role}=COLUMN",
                field=role,
            )
    kinds = {role: _kind(connection, described[at].type_code) for role, at in roles.items()}
    return _Plan(
        table=name,
        expressions={
            role: _expression(role, headers[at], kinds[role]) for role, at in roles.items()
        },
        kinds=kinds,
    )


def _kind(connection: psycopg.Connection[Any], oid: int) -> str:
    info = connection.adapters.types.get(oid)
    return info.name if info else ""


def _expression(role: str, column: str, kind: str) -> sql.Composable:
    name = sql.Identifier(column)
    if role in ("ts", "date", "time") and kind == "timestamptz":
        # Microseconds are exact, and infinity is no stamp.
        return sql.SQL(
            "CASE WHEN isfinite({0}) THEN (extract(epoch FROM {0}) * 1000000)::bigint END"
        ).format(name)
    if role in NUMBERS and kind in _NUMERIC:
        return sql.SQL("{}::float8").format(name)
    return sql.SQL("{}::text").format(name)


def _batches(connection: psycopg.Connection[Any], plan: _Plan) -> Iterator[pa.RecordBatch]:
    """Yield the table's rows as columns by role, ordered by symbol and time."""
    order = [role for role in ("symbol", "timeframe", "ts", "date", "time") if role in plan.kinds]
    query = sql.SQL(
        "COPY (SELECT {} FROM {} ORDER BY {}) TO STDOUT (FORMAT csv, HEADER false)"
    ).format(
        sql.SQL(", ").join(plan.expressions.values()),
        plan.table,
        sql.SQL(", ").join(plan.expressions[role] for role in order),
    )
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        stream = io.BufferedReader(_CopyStream(copy), _BLOCK_BYTES)
        try:
            reader = pacsv.open_csv(
                stream,
                read_options=pacsv.ReadOptions(
                    use_threads=False,
                    block_size=_BLOCK_BYTES,
                    column_names=list(plan.expressions),
                ),
                parse_options=pacsv.ParseOptions(newlines_in_values=True),
                convert_options=pacsv.ConvertOptions(
                    column_types={role: _arrow(role, kind) for role, kind in plan.kinds.items()},
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):
                return
            raise
        yield from reader


def _arrow(role: str, kind: str) -> pa.DataType:
    if role in ("ts", "date", "time") and kind == "timestamptz":
        return pa.int64()
    return pa.float64() if role in NUMBERS and kind in _NUMERIC else pa.string()


class _CopyStream(io.RawIOBase):
    """Read what COPY sends as a stream of bytes."""

    def __init__(self, copy: psycopg.Copy) -> None:
        self._copy = copy
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as one message goes."""
        while not self._rest:
            data = self._copy.read()
            if not data:
                return 0
            self._rest = memoryview(data)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _Files:
    """Write batches that are ordered by symbol as one file a symbol."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: pq.ParquetWriter | None = None
        self._symbol: str | None = None
        self.rows = self.files = self.nameless = 0
        self.renamed: dict[str, str] = {}

    def write(self, batch: pa.RecordBatch, *, has_symbols: bool) -> None:
        """Write a batch to the files of its symbols."""
        for symbol, rows in _runs(batch) if has_symbols else [("bars", batch)]:
            if not symbol:
                self.nameless += rows.num_rows
                continue
            if self._writer is None or symbol != self._symbol:
                self._writer = self._open(symbol, rows.schema)
            self._writer.write_batch(rows)
            self.rows += rows.num_rows

    def close(self) -> None:
        """Finish the last file."""
        if self._writer is not None:
            self._writer.close()

    def _open(self, symbol: str, schema: pa.Schema) -> pq.ParquetWriter:
        self.close()
        plain = symbol if _PLAIN.fullmatch(symbol) else quote(symbol, safe="")
        if plain != symbol:
            self.renamed[plain] = symbol
        self._symbol = symbol
        self.files += 1
        return pq.ParquetWriter(self._folder / f"{plain}.parquet", schema, compression="zstd")


def _runs(batch: pa.RecordBatch) -> Iterator[tuple[str | None, pa.RecordBatch]]:
    """Yield the stretches of one symbol."""
    encoded = pc.run_end_encode(batch.column("symbol"))
    start = 0
    for end, symbol in zip(encoded.run_ends.to_pylist(), encoded.values.to_pylist(), strict=True):
        yield symbol, batch.slice(start, end - start)
        start = end


def _settings(
    layout: Mapping[str, Any], form: FileFormat, plan: _Plan, *, renamed: Mapping[str, str]
) -> dict[str, Any]:
    """Return the layout of the files that were written."""
    settings: dict[str, Any] = {**layout, "format": "parquet"}
    settings["columns"] = {role: role for role in plan.expressions if role != "symbol"}
    if "symbol" in plan.expressions:
        settings["name"] = "{symbol}"
        settings["symbols"] = {**renamed, **layout.get("symbols", {})}
    else:
        settings["symbol"] = form.symbol
    if form.timeframe:
        settings["timeframe"] = form.timeframe
    instants = "timestamptz" in plan.kinds.values()
    if instants:
        settings["time_format"] = "epoch_us"
        if settings.get("timezone"):
            # An instant has no date of its own; the zone says which one is meant.
            settings.setdefault("dates", "local")
    return settings
