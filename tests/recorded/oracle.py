"""Judge the recorded series apart from mdc: which rows are bars, which are bad, which days lack.

Nothing here uses mdc. Values are judged by plain rules; what lies outside of a venue's hours, and
which sessions a file lacks, is stated by hand, as it was counted and looked at in each file.
"""

from __future__ import annotations

import csv
import gzip
import math
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

_TAIL = 1e-9
_STEPS = {"1m": timedelta(minutes=1), "15m": timedelta(minutes=15), "1h": timedelta(hours=1)}

Row = tuple[float, float, float, float, float]


@dataclass(frozen=True)
class Stated:
    """Hold what is stated by hand of one series.

    `files` in the order in which they are read; `since` and `until` are the dates of a ticker's
    life; `off_session` are stamps (UTC) or dates on which the venue did not trade, `outside` the
    number of sound rows before or after the hours that the series is to hold, `lacking` the number
    of sessions between first and last bar that have none, `first_lacking` and `last_lacking` the
    UTC dates on which the first of them begins and the last ends. `volume` is False where the
    instrument has none.
    """

    source: str
    symbol: str
    timeframe: str
    files: tuple[str, ...]
    hours: str = "regular"
    adjustment: str = "raw"
    ends: bool = False
    since: str = ""
    until: str = "9999"
    off_session: tuple[str, ...] = ()
    outside: int = 0
    lacking: int = 0
    first_lacking: str = ""
    last_lacking: str = ""
    volume: bool = True

    @property
    def key(self) -> tuple[str, ...]:
        """Return what names the series."""
        provider = f"files:{self.source}"
        return provider, self.symbol, self.timeframe, self.adjustment, self.hours


@dataclass
class Judged:
    """Hold what a series must look like in the database."""

    bars: dict[datetime, Row] = field(default_factory=dict)
    refused: Counter[tuple[datetime, str]] = field(default_factory=Counter)
    rows: int = 0


def read_stated(path: Path) -> tuple[Stated, ...]:
    """Read what is stated by hand, by source."""
    sources = tomllib.loads(path.read_text())
    return tuple(
        Stated(source=source, **{name: _frozen(value) for name, value in one.items()})
        for source, series in sources.items()
        for one in series
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def judge(stated: Stated, folder: Path) -> Judged:
    """Read the files of one series and judge every row of them."""
    judged = Judged()
    seen: dict[datetime, list[Row]] = {}
    for name in stated.files:
        for written, *cells in _read(folder / name):
            if not stated.since <= written[:10] < stated.until:
                continue
            judged.rows += 1
            stamp = _stamp(written, stated)
            row = _numbers(cells, volume=stated.volume)
            reason = _fault(stamp, row, stated)
            if reason:
                judged.refused[stamp, reason] += 1
            else:
                seen.setdefault(stamp, []).append(row)
    for stamp, rows in seen.items():
        if any(not _same(row, rows[0]) for row in rows):
            judged.refused[stamp, "duplicate_conflict"] += len(rows)
        else:
            judged.bars[stamp] = rows[0]
    return judged


def _read(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(newline="") as lines:
        header, *rows = csv.reader(lines)
    assert header[:6] == ["ts", "open", "high", "low", "close", "volume"]
    return [row[:6] for row in rows]


def _stamp(text: str, stated: Stated) -> datetime:
    written = datetime.fromisoformat(text)
    if stated.timeframe not in _STEPS:
        day = date.fromisoformat(text[:10])
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    step = _STEPS[stated.timeframe] if stated.ends else timedelta()
    return written.astimezone(UTC) - step


def _numbers(cells: list[str], *, volume: bool) -> Row:
    opened, high, low, close, last = map(_number, cells)
    return opened, high, low, close, last if volume else math.nan


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _fault(stamp: datetime, row: Row, stated: Stated) -> str:
    """Name what is wrong with a row by itself, in the order in which mdc names it."""
    if stated.off_session:
        moment = stamp.isoformat()[:16]
        if moment in stated.off_session or moment[:10] in stated.off_session:
            return "off_grid"
    opened, high, low, close, volume = row
    if 0 < low <= opened <= high < math.inf and low <= close <= high and not volume < 0:
        return ""
    return _value_fault(row[:4], volume)


def _value_fault(prices: tuple[float, ...], volume: float) -> str:
    opened, high, low, close = prices
    absent = [math.isnan(price) for price in prices]
    if all(absent) and (math.isnan(volume) or volume == 0):
        return "empty_row"
    if any(absent):
        return "missing_value"
    if min(prices) <= 0:
        return "price_not_positive"
    if volume < 0:
        return "negative"
    if max(opened, low, close) > high * (1 + _TAIL) or min(opened, close) < low * (1 - _TAIL):
        return "ohlc"
    return ""


def _same(left: Row, right: Row) -> bool:
    return all(
        a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(left, right, strict=True)
    )
