"""The prices as they stand in the shipped file, read without any help of the simulator."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple


class Prices(NamedTuple):
    """Hold what one session's bar says."""

    open: float
    high: float
    low: float
    close: float
    volume: float


# symbol -> session -> prices
History = Mapping[str, Mapping[date, Prices]]


def read_source(path: Path) -> History:
    """Read a gzipped CSV with the columns Ticker, Date, Open, High, Low, Close, Volume."""
    history: dict[str, dict[date, Prices]] = {}
    with gzip.open(path, "rt", encoding="ascii", newline="") as lines:
        for row in csv.DictReader(lines):
            prices = Prices(*(float(row[field.capitalize()]) for field in Prices._fields))
            history.setdefault(row["Ticker"], {})[date.fromisoformat(row["Date"])] = prices
    return history
