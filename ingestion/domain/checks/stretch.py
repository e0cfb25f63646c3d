"""What a check looks at: a stretch of one series, and what must be known to judge it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation
from ingestion.domain.windows import MICROSECOND
from providers.bars import Bars
from providers.types import Adjustment

Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]
Stamps = NDArray[np.int64]

# So many sessions (weeks, months) without a bar between two bars say that they tell nothing of each
# other: a sample, a suspension, a ticker that was another's meanwhile.
_APART: Final = 5


@dataclass(frozen=True, slots=True)
class Split:
    """Hold a split that is known: `new_per_old` shares from the session labelled `ex_us` on."""

    ex_us: int
    new_per_old: float


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Hold stored bars of one series with some context on both sides.

    `bars` are ascending by (ts, sequence); only what touches `judged` is to be reported, the rest
    is there to compare with. `claimed` is what coverage calls loaded. `in_session`
    tells which of them lie in the regular hours.
    """

    bars: Bars
    expectation: Expectation
    judged: Ranges
    claimed: Ranges
    in_session: Mask
    adjustment: Adjustment = Adjustment.RAW
    has_volume: bool = True
    may_be_negative: bool = False
    splits: tuple[Split, ...] = ()

    def take(self, rows: Mask) -> Stretch:
        """Return the same stretch with some of its bars."""
        if rows.all():
            return self
        return replace(self, bars=self.bars.take(rows), in_session=self.in_session[rows])

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Return [start, end) of the bars from index `first` to `last`, in stamp space.

        The end is that of the last bar's step, but not beyond what is judged.
        """
        start, latest = int(self.bars.ts[first]), int(self.bars.ts[last])
        end = self._step_end(latest)
        at = int(np.searchsorted(self.judged.starts, latest, side="right")) - 1
        if at >= 0 and latest < int(self.judged.ends[at]):
            end = min(end, int(self.judged.ends[at]))
        return start, end

    def _step_end(self, stamp: int) -> int:
        units = self.expectation.units
        if self.expectation.timeframe.is_intraday:
            return stamp + self.expectation.timeframe.duration // MICROSECOND
        at = int(np.searchsorted(units.starts, stamp, side="right")) - 1
        return int(units.ends[at]) if at >= 0 and stamp < int(units.ends[at]) else stamp + 1

    def is_judged(self, first: int, last: int) -> bool:
        """Tell whether any of the bars from index `first` to `last` is to be reported on."""
        stamps = self.bars.ts[first : last + 1]
        return bool(self.judged.contains(stamps).any())

    def units(self) -> NDArray[np.intp]:
        """Return for each bar the index of its session (week, month) in the expectation's units.

        A bar between two sessions belongs to the earlier one; -1 lies before all of them.
        """
        return np.searchsorted(self.expectation.units.starts, self.bars.ts, side="right") - 1

    def apart(self) -> Mask:
        """Tell for each bar but the first whether it is too far from the one before it."""
        return np.asarray(np.diff(self.units()) > _APART, np.bool_)


def true_runs(mask: Mask) -> list[tuple[int, int]]:
    """Return the index of the first and of the last element of each run of True."""
    edges = np.diff(np.concatenate(([0], mask.view(np.int8), [0])))
    firsts, lasts = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))
