"""The simulated market: which symbols exist, their bars, and what is visible at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import Final

import numpy as np
from numpy.typing import NDArray

from providers.bars import Bars
from providers.instants import floor_date, floor_dates, from_us, utc_offsets
from providers.sessions import DAY_US, Sessions
from providers.simulator.listings import listing_of
from providers.simulator.recorded import VENUE, load_recordings
from providers.types import Adjustment, Anchor, BarQuery, Hours, Timeframe
from providers.venues import load_sessions

Stamps = NDArray[np.int64]
# The bars of a query, or at least as many of its first ones as the number says.
BarSource = Callable[[BarQuery, int | None], Bars]

# Clients ask day by day: two weeks are made at once and kept, about 20 MB in all.
BLOCK_US: Final = 14 * DAY_US
BLOCKS_KEPT: Final = 64
MICROSECOND: Final = timedelta(microseconds=1)


class Market:
    """Serve bars in stamp space from the recordings, and from `synthetic` for all the rest."""

    def __init__(
        self,
        *,
        synthetic: BarSource,
        recorded: bool = True,
        venues: Mapping[str, str] | None = None,
        unknown: Iterable[str] = (),
    ) -> None:
        self._synthetic = synthetic
        self._recordings = load_recordings() if recorded else {}
        self._venues = tuple((venues or {}).items())
        self._unknown = tuple(unknown)
        self._block = functools.lru_cache(maxsize=BLOCKS_KEPT)(self._make_block)

    def knows(self, symbol: str) -> bool:
        """Tell whether the symbol exists."""
        return not any(fnmatchcase(symbol, pattern) for pattern in self._unknown)

    def venue(self, symbol: str) -> str:
        """Return the MIC of the symbol's venue: as configured, else as its spelling says."""
        for pattern, mic in self._venues:
            if fnmatchcase(symbol, pattern):
                return mic
        if symbol in self._recordings:
            return VENUE
        return listing_of(symbol).venue or VENUE

    def has_volume(self, symbol: str) -> bool:
        """Tell whether what trades under the symbol has a volume."""
        return listing_of(symbol).has_volume is not False

    def sessions(self, symbol: str) -> Sessions:
        """Return the sessions of the symbol's venue."""
        return load_sessions(self.venue(symbol))

    def first_stamp(self, symbol: str) -> int | None:
        """Return the stamp of the first daily bar ever, None where history has no beginning."""
        recording = self._recordings.get(symbol)
        return None if recording is None else int(recording.bars.ts[0])

    def adjusted_close(self, symbol: str, bars: Bars) -> NDArray[np.float64]:
        """Return closes adjusted for splits and dividends; synthetic symbols never have either."""
        recording = self._recordings.get(symbol)
        if recording is None or not len(bars):
            return bars.close
        last = len(recording.bars) - 1
        rows = np.minimum(np.searchsorted(recording.bars.ts, bars.ts), last)
        return bars.close * (recording.adjusted_close[rows] / recording.bars.close[rows])

    def bars(
        self,
        symbol: str,
        timeframe: Timeframe,
        *,
        start: int,
        end: int,
        now: int,
        hours: Hours = Hours.REGULAR,
        anchor: Anchor = Anchor.OPEN,
        at_most: int | None = None,
    ) -> Bars:
        """Return the bars stamped in [start, end) as they stand at `now`; all in microseconds.

        Bars that begin after `now` are absent, the one that contains `now` is partial and not
        final. Of intraday bars the first `at_most` suffice the caller.
        """
        sessions = self.sessions(symbol)
        # No session is labelled more than a day after it opens.
        start, end = max(start, sessions.known_from), min(end, now + 2 * DAY_US)
        end = min(end, self._expiry(symbol, sessions, timeframe))
        if start >= end:
            return Bars.empty()
        if timeframe.is_intraday:
            template = self._query(symbol, timeframe, hours=hours, anchor=anchor)
            bars = self._intraday(template, start, end, at_most)
            return visible(bars, intraday_spans(sessions, bars.ts, timeframe), now)
        if timeframe is Timeframe.D1:
            daily = self._daily(symbol, start, end)
            return visible(daily, session_spans(sessions, daily.ts), now)
        first = floor_date(start, timeframe)
        daily = self._daily(symbol, first, end + timeframe.duration // MICROSECOND)
        daily = visible(daily, session_spans(sessions, daily.ts), now)
        return between(aggregate(daily, timeframe), start, end)

    def _expiry(self, symbol: str, sessions: Sessions, timeframe: Timeframe) -> int:
        """Return the stamp before which a futures contract trades; for others the end of time."""
        end = listing_of(symbol).delisted_on
        if end is None:
            return sessions.known_until
        label = (end - date(1970, 1, 1)).days * DAY_US
        last = int(np.searchsorted(sessions.labels, label)) - 1
        return int(sessions.closes[last]) if timeframe.is_intraday and last >= 0 else label

    def _daily(self, symbol: str, start: int, end: int) -> Bars:
        recording = self._recordings.get(symbol)
        if recording is not None:
            return between(recording.bars, start, end)
        template = self._query(symbol, Timeframe.D1)
        return self._synthetic(replace(template, start=from_us(start), end=from_us(end)), None)

    def _intraday(self, template: BarQuery, start: int, end: int, at_most: int | None) -> Bars:
        if end - start > BLOCK_US:
            query = replace(template, start=from_us(start), end=from_us(end))
            return self._synthetic(query, at_most)
        blocks = range(start // BLOCK_US, -(-end // BLOCK_US))
        return between(Bars.concat([self._block(template, at) for at in blocks]), start, end)

    def _make_block(self, template: BarQuery, block: int) -> Bars:
        start = block * BLOCK_US
        query = replace(template, start=from_us(start), end=from_us(start + BLOCK_US))
        return self._synthetic(query, None)

    def _query(
        self,
        symbol: str,
        timeframe: Timeframe,
        *,
        hours: Hours = Hours.REGULAR,
        anchor: Anchor = Anchor.OPEN,
    ) -> BarQuery:
        return BarQuery(
            symbol=symbol,
            vendor_symbol=symbol,
            venue=self.venue(symbol),
            timeframe=timeframe,
            adjustment=Adjustment.RAW,
            hours=hours,
            anchor=anchor,
            start=from_us(0),
            end=from_us(0),
        )


def between(bars: Bars, start: int, end: int) -> Bars:
    """Select the ascending bars stamped in [start, end)."""
    first, last = np.searchsorted(bars.ts, (start, end))
    return bars.take(slice(int(first), int(last)))


def session_spans(sessions: Sessions, labels: Stamps) -> tuple[Stamps, Stamps]:
    """Return open and close of each labelled session; a label without one lasts the whole day."""
    if not len(sessions):
        return labels, labels + DAY_US
    rows = np.minimum(np.searchsorted(sessions.labels, labels), len(sessions) - 1)
    known = sessions.labels[rows] == labels
    return (
        np.where(known, sessions.opens[rows], labels),
        np.where(known, sessions.closes[rows], labels + DAY_US),
    )


def intraday_spans(
    sessions: Sessions, stamps: Stamps, timeframe: Timeframe
) -> tuple[Stamps, Stamps]:
    """Return start and end of intraday bars; a bar that meets the close ends with it."""
    ends = stamps + timeframe.duration // MICROSECOND
    rows = np.searchsorted(sessions.closes, stamps, side="right")
    closes = sessions.closes[np.minimum(rows, len(sessions) - 1)]
    cut = (closes > stamps) & (closes < ends)
    return stamps, np.where(cut, closes, ends)


def session_labels(sessions: Sessions, stamps: Stamps) -> Stamps:
    """Return the label of the session to which each instant belongs, extended hours included.

    The border between two sessions is the middle of the time between them.
    """
    borders = (sessions.closes[:-1] + sessions.opens[1:]) // 2
    return sessions.labels[np.searchsorted(borders, stamps, side="right")]


def visible(bars: Bars, spans: tuple[Stamps, Stamps], now: int) -> Bars:
    """Drop bars that begin at or after `now` and cut the running one to what is known then."""
    starts, ends = spans
    shown = int(np.searchsorted(starts, now))
    bars = bars.take(slice(0, shown))
    if not shown or ends[shown - 1] <= now:
        return bars
    share = (now - int(starts[shown - 1])) / int(ends[shown - 1] - starts[shown - 1])
    return forming(bars, share)


def forming(bars: Bars, share: float) -> Bars:
    """Return a copy whose last bar stands as after `share` (0..1) of its time."""
    last = {name: getattr(bars, name)[-1] for name in Bars.__slots__}
    close = last["open"] + (last["close"] - last["open"]) * share
    top, bottom = max(last["open"], close), min(last["open"], close)
    last["high"] = top + (last["high"] - max(last["open"], last["close"])) * share
    last["low"] = bottom - (min(last["open"], last["close"]) - last["low"]) * share
    last["close"] = close
    last["volume"] = np.floor(last["volume"] * share)
    last["trades"] = int(last["trades"] * share) if last["trades"] > 0 else last["trades"]
    last["final"] = False
    partial = Bars.build(**{name: [value] for name, value in last.items()})
    return Bars.concat([bars.take(slice(0, len(bars) - 1)), partial])


def aggregate(daily: Bars, timeframe: Timeframe) -> Bars:
    """Build weekly or monthly bars from ascending daily ones."""
    if not len(daily):
        return daily
    periods = floor_dates(daily.ts, timeframe)
    firsts = np.flatnonzero(np.r_[True, periods[1:] != periods[:-1]])
    lasts = np.r_[firsts[1:], len(daily)] - 1
    return Bars.build(
        ts=periods[firsts],
        open=daily.open[firsts],
        high=np.maximum.reduceat(daily.high, firsts),
        low=np.minimum.reduceat(daily.low, firsts),
        close=daily.close[lasts],
        volume=np.add.reduceat(daily.volume, firsts),
        final=daily.final[lasts],
    )


def local_midnights(labels: Stamps, tz: str) -> Stamps:
    """Return the instants of 00:00 local time on the labelled dates."""
    near = labels - utc_offsets(labels, tz)
    return labels - utc_offsets(near, tz)
