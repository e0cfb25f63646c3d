"""The shipped real daily prices."""

from __future__ import annotations

import csv
import functools
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from providers.bars import Bars

STOCKS_FILE: Final = Path(__file__).parent / "data" / "stocks.csv.gz"
VENUE: Final = "XNYS"


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Hold one symbol's daily bars, unadjusted, and the source's fully adjusted closes."""

    bars: Bars
    adjusted_close: NDArray[np.float64]


@functools.cache
def load_recordings() -> Mapping[str, Recording]:
    """Read the shipped file once per process; keys are symbols."""
    columns: dict[str, list[list[str]]] = {}
    with gzip.open(STOCKS_FILE, "rt", encoding="ascii", newline="") as lines:
        rows = csv.reader(lines)
        next(rows)
        for ticker, *values in rows:
            columns.setdefault(ticker, []).append(values)
    return MappingProxyType({ticker: _recording(rows) for ticker, rows in columns.items()})


def _recording(rows: list[list[str]]) -> Recording:
    dates, *numbers = zip(*rows, strict=True)
    opens, highs, lows, closes, volumes, adjusted = (
        np.array(column, dtype=np.float64) for column in numbers
    )
    stamps = np.array(dates, dtype="datetime64[us]").astype(np.int64)
    bars = Bars.build(ts=stamps, open=opens, high=highs, low=lows, close=closes, volume=volumes)
    return Recording(bars, adjusted)
