"""Bars that repeat themselves, and volume that is gone where the series usually has some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ingestion.domain.checks.evidence import bars_around, bounded, number
from ingestion.domain.checks.found import Found
from ingestion.domain.checks.lengths import share_without, unusual_length
from ingestion.domain.checks.stretch import Mask, Stretch, true_runs
from ingestion.domain.findings import Check, Severity
from providers.bars import Bars
from providers.types import Timeframe

# Shorter runs are never reported, however lively the series: half an hour of minutes, a week of
# sessions. Quiet holidays reach the half of that in the recorded series.
_LEAST_BARS: Final = {Timeframe.M1: 30, Timeframe.M5: 6}
_LEAST_OTHERWISE: Final = 5
# Where one bar in ten is alike, as of cheap shares that move by single ticks, a run is unusual only
# if it is so many times as long as any other.
_COMMON: Final = 0.1
_TIMES_LONGER: Final = 4
# The same open, high, low and close, not all one price, and the same volume: copies.
_COPIES: Final = 3


@dataclass(frozen=True, slots=True)
class _Run:
    first: int
    last: int
    usual: float
    copied: bool = False


def find_stale(stretch: Stretch) -> list[Found]:
    """Return runs of bars in session whose four prices all equal those of the bar before.

    How long a run must be follows from how often bars of this series repeat otherwise. Where
    nothing was traded either, that is the finding (`find_zero_volume`).
    """
    seen = stretch.take(stretch.in_session)
    bars = seen.bars
    repeats = np.zeros(len(bars), np.bool_)
    copies = np.zeros(len(bars), np.bool_)
    if len(bars) > 1:
        repeats[1:] = _equal(bars)
        copies[1:] = repeats[1:] & (bars.volume[1:] == bars.volume[:-1])
        copies[1:] &= (bars.volume[1:] > 0) & (bars.high[1:] > bars.low[1:])
    # The first bar of a run repeats nothing, but what comes after repeats it.
    copied = [_Run(one[0] - 1, one[1], 0.0, copied=True) for one in _of_length(copies, _COPIES - 1)]
    silent = _is_silence_odd(bars) & (bars.volume == 0)
    runs = [
        _Run(first - 1, last, usual)
        for first, last, usual in _unusual(seen, repeats)
        if not silent[first : last + 1].all()
    ]
    return bounded(
        [_stale(seen, one) for one in _merged(copied + runs) if seen.is_judged(one.first, one.last)]
    )


def find_zero_volume(stretch: Stretch) -> list[Found]:
    """Return runs of bars in session without volume, in a series that usually has some."""
    if not stretch.has_volume:
        return []
    seen = stretch.take(stretch.in_session)
    if not _is_silence_odd(seen.bars):
        return []
    return bounded(
        [
            _silent(seen, _Run(first, last, usual))
            for first, last, usual in _unusual(seen, seen.bars.volume == 0)
            if seen.is_judged(first, last)
        ]
    )


def _is_silence_odd(bars: Bars) -> bool:
    """Tell whether bars have volume more often than not."""
    return bool(len(bars)) and float(np.mean(bars.volume == 0)) <= 0.5


def _equal(bars: Bars) -> Mask:
    equal = np.ones(len(bars) - 1, np.bool_)
    for column in (bars.open, bars.high, bars.low, bars.close):
        equal &= column[1:] == column[:-1]
    return equal


def _of_length(mask: Mask, least: float) -> list[tuple[int, int]]:
    return [(first, last) for first, last in true_runs(mask) if last - first + 1 >= least]


def _unusual(stretch: Stretch, mask: Mask) -> list[tuple[int, int, float]]:
    """Return runs too long for how often bars are alike outside of them, with that share."""
    alike, count = int(mask.sum()), len(mask)
    least = _LEAST_BARS.get(stretch.expectation.timeframe, _LEAST_OTHERWISE)
    runs = _of_length(mask, least)
    lengths = sorted((last - first + 1 for first, last in runs), reverse=True)
    longest, next_longest = [*lengths, 0, 0][:2]
    found = []
    for first, last in runs:
        run = last - first + 1
        share = share_without(alike=alike, count=count, run=run)
        longest_other = next_longest if run == longest else longest
        common = share >= _COMMON and run < _TIMES_LONGER * longest_other
        if run >= unusual_length(share=share, count=count) and not common:
            found.append((first, last, share))
    return found


def _merged(runs: list[_Run]) -> list[_Run]:
    """Keep, of runs that overlap, the first and longest."""
    kept: list[_Run] = []
    for run in sorted(runs, key=lambda one: (one.first, -one.last)):
        if not kept or run.first > kept[-1].last:
            kept.append(run)
    return kept


def _stale(stretch: Stretch, run: _Run) -> Found:
    start_us, end_us = stretch.span(run.first, run.last)
    shape = "copies" if run.copied else "standstill"
    return Found(Check.STALE, Severity.WARNING, start_us, end_us, _evidence(stretch, run, shape))


def _silent(stretch: Stretch, run: _Run) -> Found:
    start_us, end_us = stretch.span(run.first, run.last)
    evidence = _evidence(stretch, run, "no volume")
    return Found(Check.ZERO_VOLUME, Severity.WARNING, start_us, end_us, evidence)


def _evidence(stretch: Stretch, run: _Run, shape: str) -> dict[str, Any]:
    return {
        "shape": shape,
        "bars_affected": run.last - run.first + 1,
        "usual_share": number(run.usual),
        "bars_around": bars_around(stretch.bars, run.first, run.last),
    }
