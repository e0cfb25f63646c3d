"""Cut what is to be inspected into parts, each with enough context to judge it by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from ingestion.domain.checks.spikes import LONGEST
from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation
from providers.types import Timeframe

# So many promised bars are read and judged at a time: some tens of megabytes, and well under a
# second.
PART_BARS: Final = 150_000
# Units on either side whose verdicts may change with what was written: an excursion may begin or
# end there. Sessions of intraday bars, else bars.
_AFFECTED: Final = {Timeframe.H4: 6, Timeframe.H1: 3}
_AFFECTED_OTHERWISE: Final = 1
# Units to compare with: a month of sessions, half a year of days, two years and more of weeks.
_BEFORE_INTRADAY, _BEFORE_LONG = 20, 130


@dataclass(frozen=True, slots=True)
class Part:
    """Hold what to judge, and the span [start_us, end_us) to read for it."""

    judged: Ranges
    start_us: int
    end_us: int


def parts_of(expectation: Expectation, ranges: Ranges) -> Iterator[Part]:
    """Widen windows to whole sessions and those they affect, and cut them into parts in order.

    What the calendar does not know is judged as it is.
    """
    judged = _widened(expectation, ranges)
    for start, end in _cuts(expectation, judged):
        mine = judged.clip(start, end)
        if len(mine):
            yield _with_context(expectation, mine)


def _affected(expectation: Expectation) -> int:
    if not expectation.timeframe.is_intraday:
        return LONGEST + 1
    return _AFFECTED.get(expectation.timeframe, _AFFECTED_OTHERWISE)


def _widened(expectation: Expectation, ranges: Ranges) -> Ranges:
    units, reach = expectation.units, _affected(expectation)
    if not len(units) or not len(ranges):
        return ranges
    first = np.searchsorted(units.ends, ranges.starts, side="right") - reach
    last = np.searchsorted(units.starts, ranges.ends, side="left") - 1 + reach
    most = len(units) - 1
    starts = np.minimum(units.starts[np.clip(first, 0, most)], ranges.starts)
    ends = np.maximum(units.ends[np.clip(last, 0, most)], ranges.ends)
    return Ranges.of_arrays(starts, ends)


def _cuts(expectation: Expectation, judged: Ranges) -> Iterator[tuple[int, int]]:
    """Yield pieces of the hull that hold so many promised bars, cut where units begin."""
    if not len(judged):
        return
    start, end = int(judged.starts[0]), int(judged.ends[-1])
    units = expectation.units
    first = int(np.searchsorted(units.starts, start, side="right"))
    last = int(np.searchsorted(units.starts, end, side="left"))
    begins = units.starts[first:last]
    begun = expectation.accepted.count(start, int(begins[0])) if len(begins) else 0
    ranks = expectation.accepted.rank(begins) - (expectation.accepted.rank(begins[:1]) - begun)
    for place in np.flatnonzero(np.diff(ranks // PART_BARS, prepend=0)).tolist():
        yield start, int(begins[place])
        start = int(begins[place])
    yield start, end


def _with_context(expectation: Expectation, judged: Ranges) -> Part:
    units = expectation.units
    start, end = int(judged.starts[0]), int(judged.ends[-1])
    if not len(units):
        return Part(judged, start, end)
    before = _BEFORE_INTRADAY if expectation.timeframe.is_intraday else _BEFORE_LONG
    first = int(np.searchsorted(units.ends, start, side="right")) - before
    last = int(np.searchsorted(units.starts, end, side="left")) - 1 + _affected(expectation) + 1
    most = len(units) - 1
    return Part(
        judged,
        min(start, int(units.starts[min(max(first, 0), most)])),
        max(end, int(units.ends[min(max(last, 0), most)])),
    )
