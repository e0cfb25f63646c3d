"""Read one file into its series: columns in order of time, each row with its place in the file.

Every row of a file belongs to some series, so that nothing vanishes: a row without a symbol goes
with the row before it, without its prices, and a row without a possible stamp is found where the
row before it is. Validation refuses both, with a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from providers.errors import UnknownTimeframe
from providers.files.blocks import Block, Floats
from providers.files.columns import NEEDED, NUMBERS
from providers.files.csv_blocks import BROKEN_STREAM, read_csv
from providers.files.errors import BadLayout, FileChanged, UnreadableFile
from providers.files.listing import Listed, spell, version_of
from providers.files.parquet_blocks import read_parquet
from providers.files.stamps import (
    NO_STAMP,
    Wall,
    join_walls,
    read_wall,
    stamps_of,
)
from providers.files.time_formats import settle_format
from providers.instants import next_date
from providers.sessions import Stamps
from providers.types import Adjustment, Anchor, Hours, Timeframe
from providers.venues import KNOWN_FROM, KNOWN_UNTIL

Rows = NDArray[np.int64]

STAMPS_ONLY: Final = ("ts", "date", "time", "symbol", "timeframe")
_EARLIEST: Final = int(np.datetime64(KNOWN_FROM, "us").astype(np.int64))
_LATEST: Final = int(np.datetime64(KNOWN_UNTIL, "us").astype(np.int64))


@dataclass(frozen=True, slots=True)
class FileSeries:
    """Name a series as a file writes it; daily and longer bars have neither hours nor anchor."""

    symbol: str
    timeframe: Timeframe
    adjustment: Adjustment
    hours: Hours
    anchor: Anchor


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Hold the rows of one series in one file, ascending by `at`.

    `at` is where a row is looked for: its stamp, or that of the row before it where `ts` is none.
    `row` is its place in the file, from 0.
    """

    at: Stamps
    ts: Stamps
    numbers: dict[str, Floats]
    row: Rows

    @property
    def nbytes(self) -> int:
        """Return the size of all columns."""
        return sum(one.nbytes for one in (self.at, self.ts, self.row, *self.numbers.values()))

    def window(self, start: int, end: int) -> Part:
        """Return the rows that are found in [start, end), as views."""
        first, last = np.searchsorted(self.at, (start, end))
        return self.take(slice(int(first), max(int(first), int(last))))

    def take(self, rows: NDArray[np.intp] | slice) -> Part:
        """Select rows."""
        return Part(
            at=self.at[rows],
            ts=self.ts[rows],
            numbers={role: values[rows] for role, values in self.numbers.items()},
            row=self.row[rows],
        )


@dataclass(frozen=True, slots=True)
class Extent:
    """Hold what one file has of a series: stamps [first, end), and rows that cannot be placed."""

    first: int
    end: int
    rows: int
    unplaced: int


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Hold a file's series, and where the rows of each lie."""

    parts: dict[FileSeries, Part]
    extents: dict[FileSeries, Extent]

    @property
    def nbytes(self) -> int:
        """Return the size of all columns."""
        return sum(part.nbytes for part in self.parts.values())


def decode(listed: Listed, *, provider: str, stamps_only: bool = False) -> Decoded:
    """Read a file, or only where its rows lie in time.

    Raises UnreadableFile for what is not as declared, and FileChanged where the file was replaced,
    truncated or removed meanwhile.
    """
    try:
        if version_of(listed.path) != listed.version:
            raise FileChanged(provider=provider, file=listed.relative)
        parts = _parts(listed, stamps_only=stamps_only)
        if version_of(listed.path) != listed.version:
            raise FileChanged(provider=provider, file=listed.relative)
    except BadLayout as error:
        raise UnreadableFile(
            str(error), provider=provider, file=listed.relative, line=error.line
        ) from None
    except UnicodeDecodeError:
        raise UnreadableFile(
            f"it is no {listed.form.encoding} text; declare another encoding",
            provider=provider,
            file=listed.relative,
        ) from None
    except BROKEN_STREAM as error:
        raise UnreadableFile(
            f"the file is damaged or breaks off ({error}); replace it",
            provider=provider,
            file=listed.relative,
        ) from None
    except FileNotFoundError:
        raise FileChanged(provider=provider, file=listed.relative) from None
    except OSError as error:
        raise UnreadableFile(
            f"the workers cannot read it: {error.strerror or error}",
            provider=provider,
            file=listed.relative,
        ) from None
    # Arrow keeps what it has freed, which one large file can make a lot.
    pa.default_memory_pool().release_unused()
    return Decoded(parts, {key: extent_of(key, part) for key, part in parts.items()})


def extent_of(key: FileSeries, part: Part) -> Extent:
    """Return where the rows of a part lie; there must be some."""
    first, last = int(part.at[0]), int(part.at[-1])
    if key.timeframe.is_intraday:
        end = last + round(key.timeframe.duration.total_seconds() * 1e6)
    else:
        end = next_date(last, key.timeframe)
    return Extent(first, end, rows=len(part.at), unplaced=int((part.at != part.ts).sum()))


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """Hold a column of few different texts: codes into `names`, every row with one."""

    codes: NDArray[np.int32]
    names: list[str]
    known: NDArray[np.bool_]


@dataclass(slots=True)
class _Collected:
    """Gather the blocks of a file: stamps as numbers at once, since text takes more room."""

    walls: list[Wall] = field(default_factory=list)
    symbols: list[pa.Array | None] = field(default_factory=list)
    timeframes: list[pa.Array | None] = field(default_factory=list)
    numbers: dict[str, list[Floats]] = field(default_factory=dict)
    rows: int = 0

    def add(self, block: Block, wall: Wall) -> None:
        """Take over a block."""
        self.walls.append(wall)
        self.symbols.append(block.symbol)
        self.timeframes.append(block.timeframe)
        for role, values in block.numbers.items():
            self.numbers.setdefault(role, []).append(values)
        self.rows += len(block)

    def joined_numbers(self) -> dict[str, Floats]:
        """Return whole columns, giving up the pieces one by one."""
        return {
            role: np.concatenate(self.numbers.pop(role)) for role in NUMBERS if role in self.numbers
        }


def _parts(listed: Listed, *, stamps_only: bool) -> dict[FileSeries, Part]:
    gathered = _gather(listed, stamps_only=stamps_only)
    if not gathered.rows:
        return {}
    symbols = _coded(
        gathered.symbols,
        fixed=listed.fixed_symbol,
        usual=listed.named.symbol,
        what="symbol",
        total=gathered.rows,
    )
    frames = _coded(
        gathered.timeframes,
        fixed=listed.fixed_timeframe,
        usual=listed.named.timeframe,
        what="timeframe",
        total=gathered.rows,
    )
    stamps = _stamps(listed, gathered, frames)
    numbers = gathered.joined_numbers()
    astray = ~(symbols.known & frames.known)
    for role in NEEDED:
        if role in numbers and astray.any():
            numbers[role][astray] = np.nan
    row = np.arange(gathered.rows, dtype=np.int64)
    at = _placed(stamps)
    return _split(listed, symbols, frames, Part(at, stamps, numbers, row))


def _gather(listed: Listed, *, stamps_only: bool) -> _Collected:
    gathered, settled = _Collected(), ""
    for block in _blocks(listed, stamps_only=stamps_only):
        if not len(block):
            continue
        settled = settled or settle_format(block.stamp, listed.form, day=listed.named.day)
        gathered.add(block, read_wall(block.stamp, settled, day=listed.named.day))
    return gathered


def _blocks(listed: Listed, *, stamps_only: bool) -> Iterator[Block]:
    read = read_parquet if listed.is_parquet else read_csv
    return read(listed.path, listed.form, roles=STAMPS_ONLY if stamps_only else None)


def _coded(
    columns: list[pa.Array | None], *, fixed: str | None, usual: str | None, what: str, total: int
) -> _Coded:
    """Return the symbol or timeframe of each row: as declared, from a column, or from its name."""
    column = [one for one in columns if one is not None]
    if fixed or not column:
        name = fixed or usual
        if not name:
            raise BadLayout(f"neither its name nor a column tells the {what}; declare {what}")
        return _Coded(np.zeros(total, np.int32), [name], np.ones(total, np.bool_))
    text = pa.concat_arrays([pc.utf8_trim_whitespace(_text(one)) for one in column])
    text = pc.if_else(pc.equal(pc.utf8_length(text), 0), pa.scalar(None, pa.string()), text)
    encoded = text.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    known = codes >= 0
    if not known.any():
        raise BadLayout(f"its column for the {what} is empty; declare {what}")
    return _Coded(codes[_carried(known)], encoded.dictionary.to_pylist(), known)


def _text(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())


def _carried(good: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return, for each row, the last good row up to it, or else the first good one."""
    rows = np.where(good, np.arange(len(good)), -1)
    carried = np.maximum.accumulate(rows)
    carried[carried < 0] = int(good.argmax())
    return carried


def _timeframe(text: str) -> Timeframe:
    try:
        return Timeframe.parse(text)
    except UnknownTimeframe as error:
        raise BadLayout(str(error)) from None


def _stamps(listed: Listed, gathered: _Collected, frames: _Coded) -> Stamps:
    form, wall = listed.form, join_walls(gathered.walls)
    gathered.walls.clear()
    timeframes = [_timeframe(name) for name in frames.names]
    if len(timeframes) == 1:
        return stamps_of(wall, form=form, timeframe=timeframes[0])
    stamps = np.full(len(wall.written), NO_STAMP, np.int64)
    for code, timeframe in enumerate(timeframes):
        chosen = frames.codes == code
        stamps[chosen] = stamps_of(wall, form=form, timeframe=timeframe)[chosen]
    return stamps


def _placed(stamps: Stamps) -> Stamps:
    """Return where each row is looked for; what no calendar can hold stands with its neighbour."""
    possible = (stamps >= _EARLIEST) & (stamps < _LATEST)
    if possible.all():
        return stamps
    if not possible.any():
        raise BadLayout(
            "not one of its stamps can be read as a time between"
            f" {KNOWN_FROM.year} and {KNOWN_UNTIL.year}; declare time_format or columns"
        )
    return stamps[_carried(possible)]


def _split(listed: Listed, symbols: _Coded, frames: _Coded, whole: Part) -> dict[FileSeries, Part]:
    group = symbols.codes.astype(np.int64) * len(frames.names) + frames.codes
    single = len(symbols.names) * len(frames.names) == 1
    if single and (np.diff(whole.at) >= 0).all():
        return {_series(listed, symbols.names[0], frames.names[0]): whole}
    order = np.lexsort((whole.at, group))
    ordered = whole.take(order)
    edges = np.flatnonzero(np.diff(group[order], prepend=-1))
    bounds = np.append(edges, len(order))
    found: dict[FileSeries, Part] = {}
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        symbol, frame = divmod(int(group[order[start]]), len(frames.names))
        key = _series(listed, symbols.names[symbol], frames.names[frame])
        part = ordered.take(slice(start, end))
        # "1d" and "1D" in one column are the same series.
        found[key] = join_parts([found[key], part]) if key in found else part
    return found


def _series(listed: Listed, symbol: str, frame: str) -> FileSeries:
    """Name a series of a file by what is declared of the file."""
    timeframe = _timeframe(frame)
    form, intraday = listed.form, timeframe.is_intraday
    return FileSeries(
        symbol=spell(symbol, form),
        timeframe=timeframe,
        adjustment=form.adjustment,
        hours=form.hours if intraday else Hours.REGULAR,
        anchor=form.anchor if intraday else Anchor.OPEN,
    )


def join_parts(parts: list[Part]) -> Part:
    """Join rows of one series, ascending by `at`; equal ones keep the given order."""
    at = np.concatenate([part.at for part in parts])
    order = np.argsort(at, kind="stable")
    roles = dict.fromkeys(role for part in parts for role in part.numbers)
    return Part(
        at=at[order],
        ts=np.concatenate([part.ts for part in parts])[order],
        numbers={
            role: np.concatenate(
                [part.numbers.get(role, np.full(len(part.at), np.nan)) for part in parts]
            )[order]
            for role in roles
        },
        row=np.concatenate([part.row for part in parts])[order],
    )
