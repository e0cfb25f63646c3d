"""The simulated documents have the shape of real, recorded ones.

Needs the recordings in MDC_RECORDED_DIR, which are not part of the repository.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    "MDC_RECORDED_DIR" not in os.environ, reason="MDC_RECORDED_DIR is not set"
)

# Facts about the company and its day, which no adapter may lean on.
DECORATION = {
    "fullExchangeName",
    "hasPrePostMarketData",
    "fiftyTwoWeekHigh",
    "fiftyTwoWeekLow",
    "regularMarketDayHigh",
    "regularMarketDayLow",
    "regularMarketVolume",
    "longName",
    "shortName",
    "previousClose",
    "scale",
    "tradingPeriods",
}


def recorded(provider, pattern):
    """Yield the documents of genuine recordings."""
    folder = Path(os.environ["MDC_RECORDED_DIR"]) / "http" / provider
    for path in sorted(folder.glob(pattern)):
        exchange = json.loads(path.read_text())
        if exchange["fidelity"].startswith("recorded"):
            yield path.name, exchange["response"]["body"]


def shape(value):
    """Reduce a document to its keys and the kinds of its values."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


@pytest.mark.parametrize(
    ("pattern", "interval", "window"),
    [
        ("historical_bars__v8_finance_chart_AAPL__1d_*", "1d", ("2012-03-01", "2012-03-08")),
        ("historical_bars__v8_finance_chart_*__1wk_*", "1wk", ("2012-03-01", "2012-04-08")),
        ("historical_bars__v8_finance_chart_*__1h_*", "1h", ("2012-03-01", "2012-03-03")),
    ],
)
def test_yahoo_documents(client, pattern, interval, window):
    """Nothing that a recording has is missing, apart from decoration and corporate actions."""
    found = shape(client.yahoo("AAPL", *window, interval).json())
    (result,) = found["chart"]["result"]
    # Names came to yahoo's answers in 2024; older recordings have none.
    result["meta"] = {k: v for k, v in result["meta"].items() if k not in DECORATION}
    seen = 0
    for name, body in recorded("yahoo", pattern):
        (real,) = shape(json.loads(body))["chart"]["result"]
        real.pop("events", None)
        if "timestamp" not in real:
            continue
        real["meta"] = {k: v for k, v in real["meta"].items() if k not in DECORATION}
        assert real == result, name
        seen += 1
    assert seen


def test_polygon_documents(client):
    """Envelope and rows have the recorded keys; recorded prices lack vwap and trade counts."""
    found = shape(client.polygon("AAPL", "2012-03-01", "2012-03-08").json())
    seen = 0
    for name, body in recorded("polygon", "historical_bars__v2_aggs_ticker_*"):
        real = shape(json.loads(body))
        for optional in ("vw", "n"):
            real["results"][0].pop(optional)
        assert real == found, name
        seen += 1
    assert seen
