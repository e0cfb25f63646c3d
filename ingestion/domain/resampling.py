"""Derive longer bars from shorter ones, session by session: pure and vectorised.

A derived bar holds the bars whose stamps lie in it on the grid that its venue's calendar makes for
its own timeframe, so that it ends where a session or a part of one ends, and never reaches into
the next. It is complete when every bar that could have gone into it is accounted for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.coverage import Ranges
from ingestion.domain.errors import BadRequest
from ingestion.domain.expectation import Expectation
from ingestion.domain.grid import Segments, runs
from ingestion.domain.selection import Codes, is_divisible
from providers.bars import Bars, FloatColumn

Stamps = NDArray[np.int64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]

_NO_STAMP: Final = np.iinfo(np.int64).min


class CannotResample(BadRequest):
    """Signal bars that cannot be cut into the wanted ones."""

    def __init__(self, message: str) -> None:
        super().__init__(message, field="resample")


@dataclass(frozen=True, slots=True, eq=False)
class Derived:
    """Hold derived bars, whether each is complete, and the source of the first bar in each.

    `left_out` counts given bars that lie in no session and so went into nothing.
    """

    bars: Bars
    complete: Mask
    codes: Codes
    left_out: int


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Map bars of one timeframe onto the bars of a longer one, of the same venue and hours."""

    source: Expectation
    target: Expectation

    @classmethod
    def over(cls, source: Expectation, target: Expectation) -> Frame:
        """Check that every source bar lies in one target bar; raises CannotResample."""
        if not is_divisible(target.timeframe, by=source.timeframe):
            raise CannotResample(
                f"{target.timeframe} bars cannot be made of {source.timeframe} bars; resample "
                f"from a shorter timeframe that divides {target.timeframe}"
            )
        for one in (source, target):
            if one.timeframe.is_intraday and _crosses_pause(one):
                raise CannotResample(
                    f"at {one.sessions.venue} a {one.timeframe} bar counted by the clock runs on "
                    "over a close or a break; resample between shorter timeframes, or bars "
                    "counted from the open"
                )
        return cls(source, target)

    def place(self, stamps: Stamps) -> Stamps:
        """Return the stamp of the target bar that each source stamp lies in, _NO_STAMP for none."""
        if self.target.timeframe.is_intraday:
            return _place_on_grid(self.target.accepted, stamps)
        units = self.source.units
        if not len(units):
            return np.full(len(stamps), _NO_STAMP)
        at = np.searchsorted(units.starts, stamps, side="right") - 1
        inside = (at >= 0) & (stamps < units.ends[np.maximum(at, 0)])
        labels = units.labels[np.maximum(at, 0)]
        bars = self.target.accepted
        found = bars.starts[np.maximum(np.searchsorted(bars.starts, labels, side="right") - 1, 0)]
        return np.where(inside, found, _NO_STAMP)

    def spans(self, targets: Stamps) -> tuple[Stamps, Stamps]:
        """Return [start, end) of the source stamps that can lie in each target bar."""
        if self.target.timeframe.is_intraday:
            return targets, self.target.bar_ends(targets)
        bars, units = self.target.accepted, self.source.units
        ends = bars.ends[np.searchsorted(bars.starts, targets, side="right") - 1]
        first = np.searchsorted(units.labels, targets)
        last = np.searchsorted(units.labels, ends) - 1
        return units.starts[first], units.ends[last]


class Resampler:
    """Derive bars from chunks of bars, keeping what the next chunk may add to.

    `covered` holds what is accounted for in the source's stamp space, loaded or proven to be
    without bars; None says that nothing is known of it: then a bar is complete only if every
    expected source bar is there.
    """

    def __init__(self, frame: Frame, *, covered: Ranges | None) -> None:
        self._frame = frame
        self._covered = covered
        self._bars = Bars.empty()
        self._codes: Codes = np.empty(0, np.int16)

    def push(self, bars: Bars, codes: Codes | None = None) -> Derived:
        """Take later bars; return those derived bars that nothing can be added to any more."""
        stamps, left_out = self._take(bars, codes)
        last = stamps[-1] if len(stamps) else 0
        return self._emit(stamps, done=int(np.searchsorted(stamps, last)), left_out=left_out)

    def finish(self) -> Derived:
        """Return what is left."""
        stamps = self._frame.place(self._bars.ts)
        return self._emit(stamps, done=len(stamps), left_out=0)

    def _take(self, bars: Bars, codes: Codes | None) -> tuple[Stamps, int]:
        stamps = self._frame.place(bars.ts)
        inside = stamps != _NO_STAMP
        codes = np.zeros(len(bars), np.int16) if codes is None else codes
        self._bars = Bars.concat([self._bars, bars if inside.all() else bars.take(inside)])
        self._codes = np.concatenate([self._codes, codes[inside]])
        return self._frame.place(self._bars.ts), int(len(bars) - inside.sum())

    def _emit(self, stamps: Stamps, *, done: int, left_out: int) -> Derived:
        bars, codes = self._bars.take(slice(0, done)), self._codes[:done]
        self._bars, self._codes = self._bars.take(slice(done, None)), self._codes[done:]
        first, last = runs(stamps[:done])
        derived = _aggregate(bars, stamps=stamps[first], first=first, last=last)
        complete = derived.final & self._accounted(bars, derived.ts, first)
        return Derived(derived, complete, codes[first], left_out)

    def _accounted(self, bars: Bars, targets: Stamps, first: Rows) -> Mask:
        if not len(targets):
            return np.zeros(0, np.bool_)
        starts, ends = self._frame.spans(targets)
        source = self._frame.source
        if self._covered is None:
            fresh = np.append(True, bars.ts[1:] != bars.ts[:-1])
            present = (fresh & source.promised.on_grid(bars.ts)).astype(np.int64)
            expected = source.promised.rank(ends) - source.promised.rank(starts)
            return np.asarray(np.add.reduceat(present, first) == expected, np.bool_)
        expected = source.accepted.rank(ends) - source.accepted.rank(starts)
        covered = _rank_within(source.accepted, self._covered, ends)
        covered -= _rank_within(source.accepted, self._covered, starts)
        return np.asarray(covered == expected, np.bool_)


def _aggregate(bars: Bars, *, stamps: Stamps, first: Rows, last: Rows) -> Bars:
    """Make one bar of each run of rows from first[i] to last[i]."""
    if not len(first):
        return Bars.empty()
    untold = np.logical_or.reduceat(bars.trades == -1, first)
    trades = np.add.reduceat(bars.trades.astype(np.int64), first)
    return Bars(
        ts=stamps,
        open=bars.open[first],
        high=np.maximum.reduceat(bars.high, first),
        low=np.minimum.reduceat(bars.low, first),
        close=bars.close[last],
        volume=np.add.reduceat(bars.volume, first),
        vwap=_vwap(bars, first),
        trades=np.where(untold | (trades > np.iinfo(np.int32).max), -1, trades).astype(np.int32),
        final=np.logical_and.reduceat(bars.final, first),
        sequence=np.zeros(len(first), np.int32),
    )


def _vwap(bars: Bars, first: Rows) -> FloatColumn:
    """Weigh by volume; a bar that traded without saying its vwap leaves the whole unknown."""
    still = bars.volume == 0
    value = np.add.reduceat(np.where(still, 0.0, bars.vwap * bars.volume), first)
    volume = np.add.reduceat(bars.volume, first)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(volume > 0, value / volume, np.nan)


def _place_on_grid(grid: Segments, stamps: Stamps) -> Stamps:
    if not len(grid.starts):
        return np.full(len(stamps), _NO_STAMP)
    at = np.searchsorted(grid.starts, stamps, side="right") - 1
    segment = np.maximum(at, 0)
    steps = np.minimum((stamps - grid.starts[segment]) // grid.step, _counts(grid)[segment] - 1)
    found = grid.starts[segment] + steps * grid.step
    inside = (at >= 0) & (stamps < grid.bar_ends(found))
    return np.where(inside, found, _NO_STAMP)


def _counts(grid: Segments) -> Stamps:
    return np.diff(grid.before)


def _rank_within(grid: Segments, ranges: Ranges, at: Stamps) -> Stamps:
    """Return for each moment how many stamps of the grid lie before it and inside the ranges."""
    if not len(ranges):
        return np.zeros(len(at), np.int64)
    opened = grid.rank(ranges.starts)
    inside = np.append(0, np.cumsum(grid.rank(ranges.ends) - opened))
    index = np.searchsorted(ranges.starts, at, side="right") - 1
    place = np.maximum(index, 0)
    reached = grid.rank(np.minimum(at, ranges.ends[place])) - opened[place]
    return np.where(index < 0, 0, inside[place] + reached)


def _crosses_pause(expectation: Expectation) -> bool:
    """Tell whether trading stops and resumes inside some bar."""
    grid, sessions = expectation.accepted, expectation.sessions
    paused, resumed, _ = sessions.pauses()
    stops = np.concatenate((sessions.closes[:-1], paused))
    resumes = np.concatenate((sessions.opens[1:], resumed))
    order = np.argsort(resumes, kind="stable")
    stops, resumes = stops[order], resumes[order]
    last = grid.starts + (_counts(grid) - 1) * grid.step
    at = np.searchsorted(resumes, last, side="right")
    known = at < len(resumes)
    at, last, closes = at[known], last[known], grid.closes[known]
    return bool(((resumes[at] < closes) & (stops[at] > last)).any())
