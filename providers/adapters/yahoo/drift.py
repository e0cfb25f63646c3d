"""The fields of a chart document: those that are read, and those that are known and left aside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from providers.drift import Level, find_drift, outline

_RESULT: Final = Level(
    "chart.result",
    needed=frozenset({"meta", "indicators"}),
    other=frozenset({"timestamp", "events"}),
)
_META: Final = Level(
    "chart.result.meta",
    needed=frozenset(
        {
            "exchangeTimezoneName",
            "dataGranularity",
            "instrumentType",
            "regularMarketTime",
            "currentTradingPeriod",
        }
    ),
    other=frozenset(
        {
            "currency",
            "symbol",
            "exchangeName",
            "fullExchangeName",
            "firstTradeDate",
            "hasPrePostMarketData",
            "gmtoffset",
            "timezone",
            "regularMarketPrice",
            "fiftyTwoWeekHigh",
            "fiftyTwoWeekLow",
            "regularMarketDayHigh",
            "regularMarketDayLow",
            "regularMarketVolume",
            "longName",
            "shortName",
            "chartPreviousClose",
            "previousClose",
            "priceHint",
            "scale",
            "range",
            "validRanges",
            "tradingPeriods",
        }
    ),
)
_EVENTS: Final = Level(
    "chart.result.events",
    needed=frozenset(),
    other=frozenset({"dividends", "splits", "capitalGains"}),
)
_INDICATORS: Final = Level(
    "chart.result.indicators", needed=frozenset({"quote"}), other=frozenset({"adjclose"})
)
_QUOTE: Final = Level(
    "chart.result.indicators.quote",
    needed=frozenset({"open", "high", "low", "close", "volume"}),
)


def chart_drift(body: bytes) -> tuple[str, ...]:
    """Say how a chart with a result differs from what this adapter knows of charts."""
    document = outline(body)
    if document is None:
        return ()
    return find_drift(_levels(document["chart"]["result"][0]))


def _levels(result: dict[str, Any]) -> Iterator[tuple[Level, object]]:
    yield _RESULT, result
    yield _META, result.get("meta")
    yield _EVENTS, result.get("events")
    indicators = result.get("indicators")
    yield _INDICATORS, indicators
    # Without a single row the columns are left out.
    if "timestamp" in result and isinstance(indicators, dict) and indicators.get("quote"):
        yield _QUOTE, indicators["quote"][0]
