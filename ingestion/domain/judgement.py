"""What a finished fetch proves: what of its window is covered, missing, refused, never listed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation, Units
from ingestion.domain.windows import Window

Stamps = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Partition the proven part of a window into covered, missing, refused and not listed.

    `missing` are the expected units without any bar, clipped to the window, and what an answer that
    broke off left of a session; they stay gaps until a second attempt or provider confirms them.
    Of `refused` units rows came and none could be stored, which confirms nothing. `not_listed` lies
    before the series' first bar.
    """

    covered: Ranges
    missing: Units
    refused: Units
    not_listed: Ranges


def judge_coverage(
    expectation: Expectation,
    *,
    window: Window,
    proven_until: int | None,
    stamps: Stamps,
    first_bar_ever: int | None,
    listed_from: int | None,
    traded: Ranges | None = None,
    refused: Stamps | None = None,
    labels: Ranges | None = None,
) -> Judgement:
    """Decide what an answer proves about its window; all numbers are µs in stamp space.

    `proven_until` is the exclusive end up to which silence means "no bar" (None: the whole
    window); `stamps` are the good bars, ascending, `refused` the stamps of rows that no table can
    hold. `first_bar_ever` is the earliest bar known of the series, this answer included, and
    `listed_from` the listing date where it is known: empty units before them were never listed.
    `traded` are sessions of which bars are known beside this answer: their silence is no gap.
    Nothing is expected of units outside `labels`, where those are given.
    """
    start = window.start_us
    end = window.end_us if proven_until is None else min(window.end_us, proven_until)
    units = expectation.units_between(start, window.end_us)
    if labels is not None:
        units = units.take(labels.contains(units.labels))
    if end <= start:
        none = units.take(slice(0, 0))
        return Judgement(Ranges.empty(), none, none, Ranges.empty())
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
    missing, refusing = _split(clipped, empty, refused)
    if expectation.timeframe.is_intraday:
        missing = _broken_off(expectation, clipped, empty, stamps).join(missing)
    absent = missing.ranges().union(refusing.ranges())
    covered = Ranges.of([(start, end)]).subtract(absent).subtract(not_listed)
    return Judgement(covered=covered, missing=missing, refused=refusing, not_listed=not_listed)


def _split(units: Units, empty: NDArray[np.bool_], refused: Stamps | None) -> tuple[Units, Units]:
    """Tell units of which nothing came from those of which all was refused."""
    if refused is None or not len(refused):
        return units.take(empty), units.take(slice(0, 0))
    silent = without_bars(units, np.sort(refused))
    return units.take(empty & silent), units.take(empty & ~silent)


def _broken_off(
    expectation: Expectation, units: Units, empty: NDArray[np.bool_], stamps: Stamps
) -> Units:
    """Find what lacks of the session in which an answer breaks off, at its end or its beginning.

    Minutes that are absent between bars did not trade. A silence that goes on from within a session
    over all sessions behind it, to the edge of the window, may be a page that was cut short.
    """
    found = units.take(slice(0, 0))
    held = np.flatnonzero(~without_bars(units, stamps))
    if not len(held) or not empty.any():
        return found
    at, until = int(held[0]), int(held[-1])
    if at > 0 and empty[:at].all():
        first = stamps[np.searchsorted(stamps, units.starts[at])]
        found = found.join(expectation.units_between(int(units.starts[at]), int(first)))
    if until + 1 < len(units) and empty[until + 1 :].all():
        last = stamps[np.searchsorted(stamps, units.ends[until]) - 1]
        after = int(last) + expectation.promised.step
        found = found.join(expectation.units_between(after, int(units.ends[until])))
    return found


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
