"""Invent prices: a seeded random walk over a venue's real sessions; numpy only.

Every number is a hash of (seed, stream, day, minute), so a bar's values depend on nothing but
its symbol and its time: not on the window, the page or the process that asks. Days come first:
open, high, low, close and volume follow a walk over all sessions of the venue. Minutes are then
bridged from the day's open to its close within its high and low, so bars of every length agree.
Prices are whole ticks of 0.01 and volumes whole units.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from providers.sessions import DAY_US, Sessions, Stamps
from providers.venues import load_calendar

ANNUAL_VOLATILITY: Final = 0.25
ANNUAL_DRIFT: Final = 0.05
SESSIONS_PER_YEAR: Final = 252
TICKS_PER_UNIT: Final = 100

# The part of a day's variance that happens between the last close and the open.
_OVERNIGHT: Final = 0.2
_DAY_SIGMA: Final = ANNUAL_VOLATILITY / SESSIONS_PER_YEAR**0.5
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_SALT: Final = b"mdc synthetic 1\x00"

Words = NDArray[np.uint64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Hold prices in ticks and volumes in units, as parallel arrays of one shape."""

    open: Stamps
    high: Stamps
    low: Stamps
    close: Stamps
    volume: Stamps

    def prices(self) -> tuple[Stamps, Stamps, Stamps, Stamps]:
        """Return open, high, low and close."""
        return self.open, self.high, self.low, self.close

    def arrays(self) -> tuple[Stamps, ...]:
        """Return every column, in the order of the constructor."""
        return (*self.prices(), self.volume)

    def rows(self, selection: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Candles:
        """Select along the first axis."""
        return Candles(*(column[selection] for column in self.arrays()))

    def merged(self, edges: NDArray[np.intp], *, ends: NDArray[np.intp]) -> Candles:
        """Join neighbours along the last axis, each group running from its edge to its end."""
        return Candles(
            self.open[..., edges],
            np.maximum.reduceat(self.high, edges, axis=-1),
            np.minimum.reduceat(self.low, edges, axis=-1),
            self.close[..., ends - 1],
            np.add.reduceat(self.volume, edges, axis=-1),
        )


@functools.lru_cache(maxsize=32)
def daily_candles(symbol: str, venue: str) -> tuple[Sessions, Candles]:
    """Return every session of the venue's calendar with the symbol's candle of that day.

    What people declare of sessions is left out: a step of the walk more or less would move every
    price after it.
    """
    sessions = load_calendar(venue)
    seed = _seed(symbol)
    days = (sessions.labels // DAY_US).astype(np.uint64)
    night = _normal(_words(seed, 1, days)) * (_DAY_SIGMA * _OVERNIGHT**0.5)
    day = _normal(_words(seed, 2, days)) * (_DAY_SIGMA * (1 - _OVERNIGHT) ** 0.5)
    day += ANNUAL_DRIFT / SESSIONS_PER_YEAR - _DAY_SIGMA**2 / 2
    closes = _first_price(seed) + np.cumsum(night + day)
    opens = closes - day
    reach = _DAY_SIGMA * 0.6
    highs = np.maximum(opens, closes) + np.abs(_normal(_words(seed, 3, days))) * reach
    lows = np.minimum(opens, closes) - np.abs(_normal(_words(seed, 4, days))) * reach
    usual = 10 ** (5 + 2 * _uniform(_words(seed, 5, np.zeros(1, np.uint64)))[0])
    length = (sessions.closes - sessions.opens) / np.median(sessions.closes - sessions.opens)
    volumes = usual * length * np.exp(0.35 * _normal(_words(seed, 6, days)))
    return sessions, Candles(
        open=_ticks(opens),
        high=_ticks(highs),
        low=_ticks(lows),
        close=_ticks(closes),
        volume=np.maximum(1, np.rint(volumes)).astype(np.int64),
    )


def minute_candles(symbol: str, labels: Stamps, days: Candles, minutes: int) -> Candles:
    """Split day candles into `minutes` candles each, as arrays of shape (days, minutes).

    Each row opens, closes, peaks and bottoms exactly where its day does, and its volumes, high
    at both ends of the session, add up to the day's.
    """
    shape = (len(labels), minutes)
    # Twelve bits for the minute: a day has 1,440.
    numbers = (labels[:, None] // DAY_US << 12) + np.arange(minutes, dtype=np.int64)
    counters = numbers.ravel().astype(np.uint64)
    words = _words(_seed(symbol), 7, counters)
    other = _words(_seed(symbol), 8, counters)
    low, high = days.low[:, None], days.high[:, None]

    elapsed = np.arange(1, minutes + 1) / minutes
    walk = np.cumsum(_normal(words).reshape(shape), axis=1)
    step = days.open * (_DAY_SIGMA * (1 - _OVERNIGHT) ** 0.5 / minutes**0.5)
    path = (walk - walk[:, -1:] * elapsed) * step[:, None]
    path += days.open[:, None] + (days.close - days.open)[:, None] * elapsed
    closes = np.clip(np.rint(path).astype(np.int64), low, high)
    closes[:, -1] = days.close
    opens = np.empty_like(closes)
    opens[:, 0] = days.open
    opens[:, 1:] = closes[:, :-1]

    lanes = other.view(np.uint16).reshape(*shape, 4)
    wick = step[:, None] * (0.8 / 65_536)
    highs = np.minimum(np.maximum(opens, closes) + (lanes[..., 0] * wick).astype(np.int64), high)
    lows = np.maximum(np.minimum(opens, closes) - (lanes[..., 1] * wick).astype(np.int64), low)
    every = np.arange(len(labels))
    highs[every, highs.argmax(axis=1)] = days.high
    lows[every, lows.argmin(axis=1)] = days.low

    weights = (lanes[..., 2] * (1.5 / 65_536) + 0.25) * _u_shape(minutes)
    shares = np.cumsum(weights, axis=1)
    sold = (shares * (days.volume / shares[:, -1])[:, None]).astype(np.int64)
    sold[:, -1] = days.volume
    volumes = np.diff(sold, axis=1, prepend=0)
    return Candles(opens, highs, lows, closes, volumes)


def _seed(symbol: str) -> np.uint64:
    digest = hashlib.blake2b(_SALT + symbol.encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def _words(seed: np.uint64, stream: int, counters: Words) -> Words:
    """Hash counters into 64 random bits each: splitmix64 with its state jumped to."""
    origin = _scramble(np.array([seed ^ np.uint64(stream)]) * _GOLDEN)
    return _scramble(origin + counters * _GOLDEN)


def _scramble(words: Words) -> Words:
    words = (words ^ (words >> np.uint64(30))) * _MIX_1
    words = (words ^ (words >> np.uint64(27))) * _MIX_2
    return words ^ (words >> np.uint64(31))


def _uniform(words: Words) -> Floats:
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _normal(words: Words) -> Floats:
    """Add four uniform lanes: close to a normal distribution, within 3.5 deviations."""
    lanes = words.view(np.uint16).reshape(-1, 4)
    total: Floats = lanes[:, 0].astype(np.float64)
    for lane in range(1, 4):
        total += lanes[:, lane]
    return (total - 131_070.0) * (3**0.5 / 65_536.0)


def _first_price(seed: np.uint64) -> float:
    uniform = _uniform(_words(seed, 9, np.zeros(1, np.uint64)))[0]
    return float(np.log(15.0) + uniform * np.log(20.0))


def _ticks(logarithms: Floats) -> Stamps:
    ticks: Stamps = np.maximum(1, np.rint(np.exp(logarithms) * TICKS_PER_UNIT)).astype(np.int64)
    return ticks


@functools.cache
def _u_shape(minutes: int) -> Floats:
    position = (np.arange(minutes) + 0.5) / minutes * 2 - 1
    weights: Floats = 0.6 + 2.4 * position**4
    return weights
