"""Columnar bars: the only shape in which prices travel between layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatColumn = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Hold n bars as parallel columns of length n.

    `ts` is microseconds since the Unix epoch, UTC, of the bar's START; 1d, 1w and 1mo bars are
    stamped 00:00Z of the session date, its Monday, its first. NaN means absent in every float
    column (an instrument without volume has NaN, never 0) and -1 means absent in `trades`.
    """

    ts: NDArray[np.int64]
    open: FloatColumn
    high: FloatColumn
    low: FloatColumn
    close: FloatColumn
    volume: FloatColumn
    vwap: FloatColumn
    trades: NDArray[np.int32]
    final: NDArray[np.bool_]
    sequence: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ts)

    @classmethod
    def build(
        cls,
        *,
        ts: ArrayLike,
        open: ArrayLike,
        high: ArrayLike,
        low: ArrayLike,
        close: ArrayLike,
        volume: ArrayLike | None = None,
        vwap: ArrayLike | None = None,
        trades: ArrayLike | None = None,
        final: ArrayLike | None = None,
        sequence: ArrayLike | None = None,
    ) -> Bars:
        """Make columns of the right types; omitted optional columns become absent values."""
        stamps = np.asarray(ts, dtype=np.int64)
        n = len(stamps)

        def floats(values: ArrayLike | None) -> FloatColumn:
            return np.full(n, np.nan) if values is None else np.asarray(values, dtype=np.float64)

        columns = cls(
            ts=stamps,
            open=floats(open),
            high=floats(high),
            low=floats(low),
            close=floats(close),
            volume=floats(volume),
            vwap=floats(vwap),
            trades=np.full(n, -1, np.int32) if trades is None else np.asarray(trades, np.int32),
            final=np.ones(n, np.bool_) if final is None else np.asarray(final, np.bool_),
            sequence=np.zeros(n, np.int32) if sequence is None else np.asarray(sequence, np.int32),
        )
        for name in cls.__slots__:
            if len(getattr(columns, name)) != n:
                raise ValueError(
                    f"column {name} has {len(getattr(columns, name))} rows, ts has {n}"
                )
        return columns

    @classmethod
    def empty(cls) -> Bars:
        """Return zero bars."""
        return cls.build(ts=[], open=[], high=[], low=[], close=[])

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Bars:
        """Select rows by mask, index array or slice, in that order."""
        return Bars(*(getattr(self, name)[rows] for name in Bars.__slots__))

    @staticmethod
    def concat(parts: Sequence[Bars]) -> Bars:
        """Join parts in the given order."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return Bars.empty()
        return Bars(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in Bars.__slots__)
        )
