"""Read CSV files, plain or gzipped, block by block.

Numbers are converted while the text is cut; only a file with a cell that is no number is read
again as text, and such cells become NaN. A row with too few or too many cells keeps its stamp and
loses its close, so that validation sets it aside.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from providers.files.blocks import Block, Floats, scaled
from providers.files.columns import NUMBERS, find_roles, positions
from providers.files.errors import BadLayout
from providers.files.layout import FileFormat

BLOCK_BYTES: Final = 8 * 1024 * 1024
# What a broken compressed stream raises, besides OSError.
BROKEN_STREAM: Final = (EOFError, zlib.error, gzip.BadGzipFile)
_DELIMITERS: Final = (",", ";", "\t", "|")
_NUMBER: Final = r"^[+-]?(?i:(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)$"


@dataclass(frozen=True, slots=True)
class Head:
    """Hold what the first lines of a file tell: delimiter, width, roles, lines before the rows."""

    delimiter: str
    width: int
    roles: dict[str, int]
    lines: int


@dataclass(slots=True)
class _Torn:
    """Collect rows that have not as many cells as the header: their numbers and texts."""

    rows: list[tuple[int, str]] = field(default_factory=list)

    def handle(self, row: Any) -> str:
        """Keep one row; for use as Arrow's handler."""
        self.rows.append((row.number, row.text))
        return "skip"

    def take(self, *, first: int, rows: int) -> list[tuple[int, str]]:
        """Hand over those that stand among `rows` whole rows beginning with number `first`.

        Arrow may be a block ahead of what it has handed out.
        """
        count = 0
        while count < len(self.rows) and self.rows[count][0] <= first + rows + count:
            count += 1
        taken, self.rows = self.rows[:count], self.rows[count:]
        return taken


def read_head(path: Path, form: FileFormat) -> Head | None:
    """Read a file's header; None for a file without any line. Raises BadLayout."""
    with open_text(path, form.encoding) as lines:
        first, count = "", 0
        for line in lines:
            count += 1
            if count > form.skip_lines and line.strip():
                first = line
                break
    if not first:
        return None
    first = first.lstrip("\ufeff")
    delimiter = form.delimiter or max(_DELIMITERS, key=first.count)
    cells = next(csv.reader([first], delimiter=delimiter))
    if form.header:
        return Head(delimiter, len(cells), find_roles(cells, form=form), lines=count)
    return Head(
        delimiter, len(cells), positions(form.columns, width=len(cells)), lines=form.skip_lines
    )


def read_csv(
    path: Path, form: FileFormat, *, roles: Sequence[str] | None = None
) -> Iterator[Block]:
    """Yield the blocks of a file; with `roles` only these columns, and no numbers otherwise.

    Raises BadLayout, OSError, and what BROKEN_STREAM names.
    """
    head = read_head(path, form)
    if head is None:
        return
    wanted = {role: at for role, at in head.roles.items() if roles is None or role in roles}
    try:
        yield from _RestartingReader(path, form, head, wanted).blocks()
    except pa.ArrowInvalid as error:
        raise _not_readable(error) from None


class _RestartingReader:
    """Read with typed columns; on the first cell that is no number, go on as text."""

    def __init__(self, path: Path, form: FileFormat, head: Head, wanted: dict[str, int]) -> None:
        self._path, self._form, self._head, self._wanted = path, form, head, wanted
        self._typed = not form.thousands

    def blocks(self) -> Iterator[Block]:
        """Yield blocks without a gap or an overlap, whichever way they are read."""
        done = 0
        if self._typed:
            try:
                for block in self._read(typed=True):
                    done += len(block)
                    yield block
            except pa.ArrowInvalid:
                pass
            else:
                return
        for block in self._read(typed=False):
            first = int(block.row[0]) if len(block) else done
            if first + len(block) <= done:
                continue
            yield block if first >= done else _tail(block, done - first)

    def _read(self, *, typed: bool) -> Iterator[Block]:
        torn = _Torn()
        numbers = [role for role in self._wanted if role in NUMBERS]
        kinds = {str(at): pa.string() for at in range(self._head.width)}
        if typed:
            kinds |= {str(self._wanted[role]): pa.float64() for role in numbers}
        position = 0
        with open_bytes(self._path) as stream:
            try:
                reader = pacsv.open_csv(
                    stream,
                    read_options=pacsv.ReadOptions(
                        use_threads=False,
                        block_size=BLOCK_BYTES,
                        column_names=[str(at) for at in range(self._head.width)],
                        skip_rows=self._head.lines,
                        encoding=self._form.encoding,
                    ),
                    parse_options=pacsv.ParseOptions(
                        delimiter=self._head.delimiter, invalid_row_handler=torn.handle
                    ),
                    convert_options=pacsv.ConvertOptions(
                        column_types=kinds,
                        null_values=list(self._form.nulls),
                        strings_can_be_null=True,
                        decimal_point=self._form.decimal if typed else ".",
                        include_columns=[str(at) for at in sorted(set(self._wanted.values()))],
                    ),
                )
            except pa.ArrowInvalid as error:
                if "Empty CSV file" in str(error):
                    return
                raise
            for batch in reader:
                block = self._block(batch, torn, position, typed=typed)
                position += len(block)
                yield block
        if torn.rows:
            yield self._torn_block(torn.rows, position)

    def _block(self, batch: pa.RecordBatch, torn: _Torn, position: int, *, typed: bool) -> Block:
        columns = {role: batch.column(str(at)) for role, at in self._wanted.items()}
        whole = self._made(columns, position, typed=typed)
        stray = torn.take(first=self._base + position, rows=len(whole))
        if not stray:
            return whole
        return _interleaved(whole, self._torn_block(stray, position), stray, position, self._base)

    @property
    def _base(self) -> int:
        """Return the number that Arrow gives to the first row: it counts from 1."""
        return 1 + self._head.lines

    def _made(self, columns: dict[str, pa.Array], position: int, *, typed: bool) -> Block:
        rows = len(next(iter(columns.values())))
        numbers = {
            role: _floats(column) if typed else self._text_floats(column)
            for role, column in columns.items()
            if role in NUMBERS
        }
        return Block(
            stamp=_stamp(columns, rows),
            numbers=scaled(numbers, self._form),
            symbol=columns.get("symbol"),
            timeframe=columns.get("timeframe"),
            row=np.arange(position, position + rows, dtype=np.int64),
        )

    def _torn_block(self, stray: list[tuple[int, str]], position: int) -> Block:
        """Build rows of what is left of torn ones; they never have a whole set of prices."""
        delimiter = self._head.delimiter
        cells = [next(csv.reader([text], delimiter=delimiter), []) for _, text in stray]
        columns = {
            role: pa.array([row[at] if at < len(row) else None for row in cells], pa.string())
            for role, at in self._wanted.items()
        }
        block = self._made(columns, position, typed=False)
        if "close" in block.numbers:
            block.numbers["close"][:] = np.nan
        return block

    def _text_floats(self, column: pa.Array) -> Floats:
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        if self._form.thousands:
            text = pc.replace_substring(text, self._form.thousands, "")
        if self._form.decimal != ".":
            text = pc.replace_substring(text, self._form.decimal, ".")
        number = pc.fill_null(pc.match_substring_regex(text, _NUMBER), False)
        kept = pc.if_else(number, text, pa.scalar(None, pa.string()))
        return _floats(kept.cast(pa.float64()))


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, decompressing it if its name says so."""
    if path.name.endswith(".gz"):
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")


def open_text(path: Path, encoding: str) -> IO[str]:
    """Open a file's lines to look at; what is no text in them is replaced by a mark."""
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding=encoding, errors="replace", newline=None)
    return path.open(encoding=encoding, errors="replace", newline=None)


def _stamp(columns: dict[str, pa.Array], rows: int) -> pa.Array:
    if "ts" in columns:
        return columns["ts"]
    parts = [columns[role] for role in ("date", "time") if role in columns]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return pa.nulls(rows, pa.string())
    trimmed = [pc.utf8_trim_whitespace(part.cast(pa.string())) for part in parts]
    return pc.binary_join_element_wise(*trimmed, " ")


def _floats(column: pa.Array) -> Floats:
    values: Floats = column.to_numpy(zero_copy_only=False)
    # Arrow's own memory is read-only.
    return np.array(values, dtype=np.float64)


def _interleaved(
    whole: Block, stray: Block, texts: list[tuple[int, str]], position: int, base: int
) -> Block:
    """Put torn rows back to where they stood among the others."""
    total = len(whole) + len(stray)
    places = np.array([number - base - position for number, _ in texts], np.int64)
    places = np.clip(places, 0, total - 1)
    is_stray = np.zeros(total, np.bool_)
    is_stray[places] = True
    order = np.empty(total, np.int64)
    order[is_stray] = len(whole) + np.arange(len(stray))
    order[~is_stray] = np.arange(len(whole))
    return Block(
        stamp=_joined(whole.stamp, stray.stamp, order),
        numbers={
            role: np.concatenate((values, stray.numbers[role]))[order]
            for role, values in whole.numbers.items()
        },
        symbol=_joined(whole.symbol, stray.symbol, order),
        timeframe=_joined(whole.timeframe, stray.timeframe, order),
        row=np.arange(position, position + total, dtype=np.int64),
    )


def _joined(first: Any, second: Any, order: Any) -> Any:
    if first is None:
        return None
    return pa.concat_arrays([first.cast(pa.string()), second.cast(pa.string())]).take(order)


def _tail(block: Block, rows: int) -> Block:
    return Block(
        stamp=block.stamp[rows:],
        numbers={role: values[rows:] for role, values in block.numbers.items()},
        symbol=None if block.symbol is None else block.symbol[rows:],
        timeframe=None if block.timeframe is None else block.timeframe[rows:],
        row=block.row[rows:],
    )


def _not_readable(error: Exception) -> BadLayout:
    """Say in Arrow's words what is wrong with which line."""
    text = str(error).partition("\n")[0]
    found = re.search(r"Row #(\d+)", text)
    if "UTF8" in text:
        text = "it is no utf-8 text; declare encoding, such as latin-1"
    return BadLayout(text, line=int(found[1]) if found else None)
