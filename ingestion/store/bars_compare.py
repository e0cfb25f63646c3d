"""What a call of the writer brings, and how it differs from what is stored: numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from providers.bars import Bars

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]
Keys = NDArray[np.int64]
BatchNumbers = NDArray[np.int32]

PRICES_AND_VOLUME = ("open", "high", "low", "close", "volume", "vwap")

_LONGEST_US = 2.0**62


@dataclass(frozen=True, slots=True, eq=False)
class SeriesBars:
    """Hold what one attempt learnt of one series in the half-open window, in µs since the epoch.

    `bars` are sorted and unique by (ts, sequence) and lie inside the window; there may be none.
    """

    series_id: int
    attempt_id: int
    window_start_us: int
    window_end_us: int
    bars: Bars


class InvalidBatch(ValueError):
    """Signal a batch that breaks the contract of SeriesBars; nothing was written."""

    def __init__(self, reason: str, *, series_id: int) -> None:
        super().__init__(f"bars of series {series_id} {reason}")
        self.series_id = series_id
        self.reason = reason


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Hold the disjoint windows of batches in the order of series and start.

    `offsets` number every stamp in them, from 0 on.
    """

    series_ids: NDArray[np.int32]
    attempt_ids: NDArray[np.int64]
    starts: Keys
    ends: Keys
    offsets: Keys

    @classmethod
    def of(cls, batches: Sequence[SeriesBars]) -> Windows:
        """Take over the windows of ordered batches; raises InvalidBatch where one is empty."""
        series_ids = np.array([batch.series_id for batch in batches], np.int32)
        attempt_ids = np.array([batch.attempt_id for batch in batches], np.int64)
        starts = np.array([batch.window_start_us for batch in batches], np.int64)
        ends = np.array([batch.window_end_us for batch in batches], np.int64)
        empty = ends <= starts
        if empty.any():
            raise InvalidBatch(
                "come in a window that is empty", series_id=int(series_ids[empty.argmax()])
            )
        spans = ends - starts
        if spans.sum(dtype=np.float64) > _LONGEST_US:
            raise InvalidBatch(
                "come in a call whose windows add up to more time than a number can count; "
                "write fewer batches at once",
                series_id=int(series_ids[0]),
            )
        return cls(series_ids, attempt_ids, starts, ends, np.cumsum(spans) - spans)

    def positions(self, table: BarTable) -> Keys:
        """Return a number per row that orders rows as (series, ts) does."""
        return (self.offsets - self.starts)[table.batch] + table.bars.ts


@dataclass(frozen=True, slots=True, eq=False)
class BarTable:
    """Hold bars of several batches as one table; `batch` is each row's place in the windows."""

    batch: BatchNumbers
    bars: Bars

    def take(self, rows: Rows) -> BarTable:
        """Select rows by index; all of them in their order cost no copy."""
        if len(rows) == len(self.batch) and np.array_equal(rows, np.arange(len(rows))):
            return self
        return BarTable(self.batch[rows], self.bars.take(rows))


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """Hold, as rows of the incoming table, what is new and what replaces a stored version.

    The remaining arrays hold the batch of each revised, known and vanished row, and the stamps of
    the vanished ones.
    """

    new: Rows
    replaced: Rows
    revised: BatchNumbers
    known: BatchNumbers
    vanished: BatchNumbers
    vanished_ts: Keys


def disjoint_rounds(batches: Sequence[SeriesBars]) -> list[list[int]]:
    """Sort batches by series and start, as their places; those that overlap go to later rounds.

    Of two that overlap, the one that stands later in the sequence comes in the later round.
    """
    order = sorted(range(len(batches)), key=lambda place: _begins(batches[place]))
    if not any(_overlap(batches[one], batches[other]) for one, other in pairwise(order)):
        return [order]
    round_of: list[int] = []
    for place, batch in enumerate(batches):
        before = [round_of[other] for other in range(place) if _overlap(batches[other], batch)]
        round_of.append(max(before, default=-1) + 1)
    return [[place for place in order if round_of[place] == n] for n in range(max(round_of) + 1)]


def _begins(batch: SeriesBars) -> tuple[int, int]:
    return batch.series_id, batch.window_start_us


def _overlap(one: SeriesBars, other: SeriesBars) -> bool:
    return (
        one.series_id == other.series_id
        and one.window_start_us < other.window_end_us
        and other.window_start_us < one.window_end_us
    )


def gather(batches: Sequence[SeriesBars]) -> tuple[Windows, BarTable]:
    """Join ordered disjoint batches into one table, and check that it keeps their contract."""
    windows = Windows.of(batches)
    lengths = [len(batch.bars) for batch in batches]
    table = BarTable(
        np.repeat(np.arange(len(batches), dtype=np.int32), lengths),
        Bars.concat([batch.bars for batch in batches]),
    )
    stamps = table.bars.ts
    outside = (stamps < windows.starts[table.batch]) | (stamps >= windows.ends[table.batch])
    if outside.any():
        raise _invalid("lie outside their window", windows, table, outside)
    step = np.diff(windows.positions(table))
    disordered = (step < 0) | ((step == 0) & (np.diff(table.bars.sequence) <= 0))
    if disordered.any():
        raise _invalid("are not sorted and unique by (ts, sequence)", windows, table, disordered)
    return windows, table


def _invalid(reason: str, windows: Windows, table: BarTable, bad: Mask) -> InvalidBatch:
    batch = table.batch[bad.argmax()]
    return InvalidBatch(reason, series_id=int(windows.series_ids[batch]))


def compare(windows: Windows, incoming: BarTable, stored: BarTable) -> Difference:
    """Find for every incoming row its stored version, and what differs."""
    mine, theirs = _keys(windows, incoming, stored)
    at = np.searchsorted(theirs, mine)
    hit = np.zeros(len(mine), np.bool_)
    reached = at < len(theirs)
    hit[reached] = theirs[at[reached]] == mine[reached]
    known = np.flatnonzero(hit)
    versions = at[known]
    before, after = stored.bars.take(versions), incoming.bars.take(known)
    differs = _differ(before, after) & (after.final | ~before.final)
    gone = stored.bars.final.copy()
    gone[versions] = False
    return Difference(
        new=np.flatnonzero(~hit),
        replaced=known[differs],
        revised=incoming.batch[known[differs & before.final]],
        known=incoming.batch[known],
        vanished=stored.batch[gone],
        vanished_ts=stored.bars.ts[gone],
    )


def _keys(windows: Windows, incoming: BarTable, stored: BarTable) -> tuple[Keys, Keys]:
    """Return one integer per row of each table that orders rows as (series, ts, sequence) does."""
    mine, theirs = windows.positions(incoming), windows.positions(stored)
    sequence = np.concatenate((incoming.bars.sequence, stored.bars.sequence)).astype(np.int64)
    if sequence.any():
        # Positions in µs leave no room for a second part; their ranks do.
        _, ranks = np.unique(np.concatenate((mine, theirs)), return_inverse=True)
        low = sequence.min()
        keys = ranks * (sequence.max() - low + 1) + (sequence - low)
        mine, theirs = keys[: len(mine)], keys[len(mine) :]
    return mine, theirs


def _differ(before: Bars, after: Bars) -> Mask:
    """Tell per row whether any value differs; absent equals absent."""
    differs: Mask = (before.trades != after.trades) | (before.final != after.final)
    for name in PRICES_AND_VOLUME:
        old, new = getattr(before, name), getattr(after, name)
        differs |= (old != new) & ~(np.isnan(old) & np.isnan(new))
    return differs
