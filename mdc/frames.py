"""Turn columns of bars into a data frame of pandas, polars or Arrow.

Types, alike in all three: `ts` in microseconds with a time zone; open, high, low, close, volume and
vwap float64, NaN where absent; trades Int32, null where absent; final and complete bool; symbol and
provider text.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.errors import MdcError

ENGINES: Final = ("pandas", "polars", "arrow")
SYMBOL, TS, TRADES = "symbol", "ts", "trades"
_ABSENT_TRADES: Final = -1


class EngineMissing(MdcError):
    """Signal a library that is not installed; `engine` names it."""

    def __init__(self, engine: str) -> None:
        super().__init__(
            f"{engine} is not installed; `pip install {engine}`, or read with engine='pandas'"
        )
        self.engine = engine


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Hold a column of few different texts: row i has `values[codes[i]]`."""

    values: Sequence[str]
    codes: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Hold equally long columns in the order in which they are shown.

    `symbols` is None where only one was asked for; `stamps` is µs since the epoch, UTC, which are
    shown in the time zone `tz`.
    """

    symbols: Text | None
    stamps: NDArray[np.int64]
    tz: str
    columns: Mapping[str, NDArray[Any] | Text]


def build_frame(table: Table, *, engine: str) -> Any:
    """Return a pandas or polars DataFrame, or an Arrow table. Raises EngineMissing.

    pandas: index `ts`, or (`symbol`, `ts`) where the table has symbols. The others have these as
    their first columns.
    """
    match engine:
        case "pandas":
            return _pandas(table)
        case "polars":
            return _polars(table)
    return _arrow(table)


def _pandas(table: Table) -> Any:
    pd = _library("pandas")
    stamps = pd.DatetimeIndex(table.stamps.view("M8[us]"), name=TS)
    index = stamps.tz_localize("UTC").tz_convert(table.tz)
    if table.symbols is not None:
        codes, unique = pd.factorize(index, sort=True)
        index = pd.MultiIndex(
            levels=[pd.Index(table.symbols.values, dtype=object), unique],
            codes=[table.symbols.codes, codes],
            names=[SYMBOL, TS],
        )

    def column(name: str, values: NDArray[Any] | Text) -> Any:
        if isinstance(values, Text):
            return pd.Categorical.from_codes(values.codes, categories=list(values.values))
        if name == TRADES:
            return pd.arrays.IntegerArray(values, values == _ABSENT_TRADES)
        return values

    columns = {name: column(name, values) for name, values in table.columns.items()}
    return pd.DataFrame(columns, index=index)


def _arrow(table: Table) -> Any:
    pa = _library("pyarrow")

    def column(name: str, values: NDArray[Any] | Text) -> Any:
        if isinstance(values, Text):
            texts = pa.array(list(values.values), pa.string())
            return pa.DictionaryArray.from_arrays(pa.array(values.codes), texts)
        if name == TRADES:
            return pa.array(values, mask=values == _ABSENT_TRADES)
        return pa.array(values)

    keys = {} if table.symbols is None else {SYMBOL: column(SYMBOL, table.symbols)}
    keys[TS] = pa.array(table.stamps, pa.timestamp("us", tz=table.tz))
    return pa.table(keys | {name: column(name, one) for name, one in table.columns.items()})


def _polars(table: Table) -> Any:
    pl = _library("polars")

    def column(name: str, values: NDArray[Any] | Text) -> Any:
        if isinstance(values, Text):
            texts = pl.Series(name, list(values.values), dtype=pl.String)
            return texts.gather(values.codes).rename(name)
        series = pl.Series(name, values)
        return series.replace(_ABSENT_TRADES, None) if name == TRADES else series

    stamps = pl.Series(TS, table.stamps).cast(pl.Datetime("us", "UTC"))
    keys = [] if table.symbols is None else [column(SYMBOL, table.symbols)]
    keys.append(stamps.dt.convert_time_zone(table.tz))
    return pl.DataFrame([*keys, *(column(name, one) for name, one in table.columns.items())])


def _library(name: str) -> Any:
    """Import a library when it is first needed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EngineMissing(name) from error
