"""What a finished fetch proves: which part of its window is covered, missing or never listed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Units
from ingestion.domain.windows import Window

Stamps = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Partition the proven part of a window into covered, missing and not listed.

    `missing` are the expected units without any bar, clipped to the window; they stay gaps until
    a second attempt or provider confirms them. `not_listed` lies before the series' first bar.
    """

    covered: Ranges
    missing: Units
    not_listed: Ranges


def judge_coverage(
    *,
    window: Window,
    proven_until: int | None,
    units: Units,
    stamps: Stamps,
    first_bar_ever: int | None,
    listed_from: int | None,
    traded: Ranges | None = None,
) -> Judgement:
    """Decide what an answer proves about its window; all numbers are µs in stamp space.

    `proven_until` is the exclusive end up to which silence means "no bar" (None: the whole
    window); `units` are the expected units of the window; `stamps` are the good bars, ascending.
    `first_bar_ever` is the earliest bar known of the series, this answer included, and
    `listed_from` the listing date where it is known: empty units before them were never listed.
    `traded` are sessions of which bars are known beside this answer: their silence is no gap.
    """
    start = window.start_us
    end = window.end_us if proven_until is None else min(window.end_us, proven_until)
    if end <= start:
        return Judgement(Ranges.empty(), units.take(slice(0, 0)), Ranges.empty())
    clipped = units.clip(start, end)
    empty = without_bars(clipped, stamps)
    if traded is not None and len(traded) and empty.any():
        empty &= ~_touched(clipped, traded)
    unlisted = _leading_unlisted(
        clipped, empty, before=_listing(first_bar_ever=first_bar_ever, listed_from=listed_from)
    )
    not_listed = Ranges.empty()
    if unlisted:
        not_listed = Ranges.of([(start, int(clipped.ends[unlisted - 1]))])
        empty[:unlisted] = False
    missing = clipped.take(empty)
    whole = Ranges.of([(start, end)])
    covered = whole.subtract(missing.ranges()).subtract(not_listed)
    return Judgement(covered=covered, missing=missing, not_listed=not_listed)


def without_bars(units: Units, stamps: Stamps) -> NDArray[np.bool_]:
    """Tell of which units none of the ascending stamps is one."""
    first = np.searchsorted(stamps, units.starts, side="left")
    last = np.searchsorted(stamps, units.ends, side="left")
    return np.asarray(first == last, np.bool_)


def _touched(units: Units, ranges: Ranges) -> NDArray[np.bool_]:
    """Tell of which whole sessions some part lies in the ranges."""
    first = np.searchsorted(ranges.ends, units.full_starts, side="right")
    last = np.searchsorted(ranges.starts, units.full_ends, side="left")
    return np.asarray(first < last, np.bool_)


def _listing(*, first_bar_ever: int | None, listed_from: int | None) -> int | None:
    """Return the moment before which silence is no gap; a bar beats a wrong listing date."""
    if listed_from is None or first_bar_ever is None:
        return first_bar_ever if listed_from is None else listed_from
    return min(first_bar_ever, listed_from)


def _leading_unlisted(units: Units, empty: NDArray[np.bool_], *, before: int | None) -> int:
    """Count the empty units at the front that end before the listing."""
    if before is None:
        return 0
    candidates = np.logical_and.accumulate(empty & (units.ends <= before))
    return int(candidates.sum())
