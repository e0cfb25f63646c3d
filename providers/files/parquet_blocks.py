"""Read Parquet files, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from providers.files.blocks import Block, Floats, scaled
from providers.files.columns import NUMBERS, find_roles
from providers.files.errors import BadLayout
from providers.files.layout import FileFormat

BATCH_ROWS: Final = 262_144


def read_parquet(
    path: Path, form: FileFormat, *, roles: Sequence[str] | None = None
) -> Iterator[Block]:
    """Yield the blocks of a file; with `roles` only these columns. Raises BadLayout and OSError."""
    try:
        with pq.ParquetFile(path) as file:
            yield from _blocks(file, form, roles)
    except pa.ArrowInvalid as error:
        raise BadLayout(str(error).partition("\n")[0]) from None


def _blocks(file: pq.ParquetFile, form: FileFormat, roles: Sequence[str] | None) -> Iterator[Block]:
    headers = file.schema_arrow.names
    found = find_roles(headers, form=form)
    wanted = {role: at for role, at in found.items() if roles is None or role in roles}
    names = {role: headers[at] for role, at in wanted.items()}
    position = 0
    for batch in file.iter_batches(
        batch_size=BATCH_ROWS, columns=list(names.values()), use_threads=False
    ):
        columns = {role: batch.column(name) for role, name in names.items()}
        rows = batch.num_rows
        numbers = {
            role: _floats(column, role) for role, column in columns.items() if role in NUMBERS
        }
        yield Block(
            stamp=_stamp(columns, rows),
            numbers=scaled(numbers, form),
            symbol=columns.get("symbol"),
            timeframe=columns.get("timeframe"),
            row=np.arange(position, position + rows, dtype=np.int64),
        )
        position += rows


def _stamp(columns: dict[str, pa.Array], rows: int) -> pa.Array:
    if "ts" in columns:
        return columns["ts"]
    parts = [columns[role] for role in ("date", "time") if role in columns]
    if not parts:
        return pa.nulls(rows, pa.string())
    if len(parts) == 1:
        return parts[0]
    return pc.binary_join_element_wise(*(part.cast(pa.string()) for part in parts), " ")


def _floats(column: pa.Array, role: str) -> Floats:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = _numeric_text(column)
        # A 64-bit count above 2^53 loses its last digits as a double, as it would in the table.
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise BadLayout(f"the column for {role} holds {column.type}, which is no number") from None
    return np.array(values, dtype=np.float64)


def _numeric_text(column: pa.Array) -> pa.Array:
    text = pc.utf8_trim_whitespace(column)
    number = pc.match_substring_regex(text, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    return pc.if_else(pc.fill_null(number, False), text, pa.scalar(None, text.type))
