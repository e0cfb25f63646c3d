"""Make a market of which everything is known: a random walk over a venue's real sessions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ingestion.calendars import expectation_for
from ingestion.domain.checks.stretch import Stretch
from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation
from ingestion.domain.windows import Window
from providers.bars import Bars
from providers.types import Anchor, Hours, Timeframe


def day(text: str) -> datetime:
    """Read an ISO date as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


D1, H1, M1 = Timeframe.D1, Timeframe.H1, Timeframe.M1
# Windows of a few hundred bars, each with a half day: 2023-11-24 in New York.
WINDOWS = {
    D1: Window(day("2023-01-03"), day("2024-01-01")),
    H1: Window(day("2023-10-02"), day("2023-12-09")),
    M1: Window(day("2023-11-22"), day("2023-11-29")),
}


def expected(timeframe: Timeframe, *, hours: Hours = Hours.REGULAR) -> Expectation:
    """Return what New York promises."""
    return expectation_for(venue="XNYS", timeframe=timeframe, hours=hours, anchor=Anchor.OPEN)


def market(
    timeframe: Timeframe, *, seed: int = 0, move: float = 0.001, window: Window | None = None
) -> Bars:
    """Walk at random over every promised bar of a window, by `move` of a price from bar to bar."""
    ts = expected(timeframe).expected_stamps(window or WINDOWS[timeframe])
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, move, len(ts))))
    opens = np.concatenate(([100.0], close[:-1]))
    reach = 1 + np.abs(random.normal(0, move / 2, (2, len(ts))))
    return Bars.build(
        ts=ts,
        open=opens,
        high=np.maximum(opens, close) * reach[0],
        low=np.minimum(opens, close) / reach[1],
        close=close,
        volume=random.integers(1_000, 9_000, len(ts)),
    )


def stretch(bars: Bars, timeframe: Timeframe, **known: Any) -> Stretch:
    """Look at all of the bars, with coverage over all of the window they were made for."""
    whole = Ranges.of_windows([WINDOWS[timeframe]])
    usual = Stretch(
        bars=bars,
        expectation=expected(timeframe),
        judged=whole,
        claimed=whole,
        in_session=np.ones(len(bars), np.bool_),
    )
    return replace(usual, **known)


def scaled(bars: Bars, first: int, last: int, factor: float) -> Bars:
    """Multiply all prices of the bars from index `first` to `last`."""
    prices = {}
    for name in ("open", "high", "low", "close"):
        prices[name] = getattr(bars, name).copy()
        prices[name][first : last + 1] *= factor
    return replace(bars, **prices)


def without(bars: Bars, first: int, last: int) -> Bars:
    """Drop the bars from index `first` to `last`."""
    kept = np.ones(len(bars), np.bool_)
    kept[first : last + 1] = False
    return bars.take(kept)
