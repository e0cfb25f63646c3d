"""One-minute prices of a year's first months, and the bytes in which two providers send them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from ingestion.calendars import expectation_for
from ingestion.domain.windows import SECOND_US, Window
from providers.bars import Bars
from providers.types import Adjustment, Anchor, BarQuery, Hours, Response, Timeframe

VENUE: Final = "XNYS"
YEAR: Final = Window(datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
RECEIVED_AT: Final = datetime(2025, 6, 1, tzinfo=UTC)
EXPECTATION: Final = expectation_for(
    venue=VENUE, timeframe=Timeframe.M1, hours=Hours.REGULAR, anchor=Anchor.OPEN
)


def minute_bars(*, seed: int, rows: int, window: Window = YEAR) -> Bars:
    """Make the window's first bars of regular hours: a random walk in cents, whole volumes."""
    random = np.random.default_rng(seed)
    stamps = EXPECTATION.expected_stamps(window)[:rows]
    close = np.round(100 + np.cumsum(random.normal(0, 0.02, len(stamps))), 2)
    open_ = np.concatenate(([100.0], close[:-1]))
    high = np.round(np.maximum(open_, close) + random.integers(0, 6, len(stamps)) / 100, 2)
    low = np.round(np.minimum(open_, close) - random.integers(0, 6, len(stamps)) / 100, 2)
    return Bars.build(
        ts=stamps,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=random.integers(100, 90_000, len(stamps)),
        vwap=np.round((high + low + close) / 3, 4),
        trades=random.integers(1, 900, len(stamps)),
    )


def minute_query(adjustment: Adjustment) -> BarQuery:
    """Ask for the whole year of the bars above."""
    return BarQuery(
        symbol="BENCH",
        vendor_symbol="BENCH",
        venue=VENUE,
        timeframe=Timeframe.M1,
        adjustment=adjustment,
        hours=Hours.REGULAR,
        anchor=Anchor.OPEN,
        start=YEAR.start,
        end=YEAR.end,
    )


def answer(body: object) -> Response:
    """Wrap a payload as a provider's successful answer."""
    return Response(status=200, headers={}, body=orjson.dumps(body), received_at=RECEIVED_AT)


def polygon_answer(bars: Bars) -> Response:
    """Put bars into polygon's aggregates: one object per row."""
    columns: dict[str, NDArray[Any]] = {
        "v": bars.volume,
        "vw": bars.vwap,
        "o": bars.open,
        "c": bars.close,
        "h": bars.high,
        "l": bars.low,
        "t": bars.ts // 1000,
        "n": bars.trades,
    }
    listed = [column.tolist() for column in columns.values()]
    return answer(
        {
            "ticker": "BENCH",
            "queryCount": len(bars),
            "resultsCount": len(bars),
            "adjusted": False,
            "results": [dict(zip(columns, row, strict=True)) for row in zip(*listed, strict=True)],
            "status": "OK",
            "request_id": "0",
            "count": len(bars),
        }
    )


def yahoo_answer(bars: Bars) -> Response:
    """Put bars into yahoo's chart: one list per column, no average price, no trade count."""
    quote = {
        "open": bars.open.tolist(),
        "high": bars.high.tolist(),
        "low": bars.low.tolist(),
        "close": bars.close.tolist(),
        "volume": bars.volume.astype(np.int64).tolist(),
    }
    meta = {
        "currency": "USD",
        "symbol": "BENCH",
        "instrumentType": "EQUITY",
        "exchangeTimezoneName": "America/New_York",
        "regularMarketTime": int(bars.ts[-1]) // SECOND_US + 60,
        "dataGranularity": "1m",
    }
    result = {
        "meta": meta,
        "timestamp": (bars.ts // SECOND_US).tolist(),
        "indicators": {"quote": [quote]},
    }
    return answer({"chart": {"result": [result], "error": None}})
