"""What yahoo and polygon really sent, read by the adapters and, apart from them, row by row."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from providers.errors import (
    AuthError,
    NoData,
    PayloadError,
    PermanentError,
    ProviderError,
)
from providers.instants import from_us
from providers.registry import get_adapter
from providers.types import Page
from tests.providers.contract import make_query, make_response

TIMEFRAMES = {"1m": "1m", "1h": "1h", "60m": "1h", "1d": "1d", "1wk": "1w", "1mo": "1mo"}


def exchanges(recorded: Path, provider: str) -> list[tuple[str, dict[str, Any]]]:
    """Return every recorded exchange of a provider."""
    folder = recorded / "http" / provider
    return [(path.stem, json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]


def parse(provider: str, exchange: dict[str, Any], **fields: str) -> Page:
    """Read a recorded answer with the adapter, as bars of any time."""
    answer = exchange["response"]
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    query = make_query(start="1960-01-01", end="2035-01-01", **fields)
    return get_adapter(provider).parse(
        query, make_response(answer["status"], answer["body"].encode(), headers)
    )


def yahoo_results(recorded: Path) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return the chart answers that have a result of an interval that we store."""
    found = []
    for name, exchange in exchanges(recorded, "yahoo"):
        body = exchange["response"]["body"]
        document = json.loads(body) if body.startswith("{") else {}
        for result in document.get("chart", {}).get("result") or []:
            if result["meta"].get("dataGranularity") in TIMEFRAMES:
                found.append((name, exchange, result))
    return found


def expected_date(result: dict[str, Any], stamp: int) -> datetime:
    """Return the stamp of the bar to which a row belongs, computed row by row."""
    zone = ZoneInfo(result["meta"]["exchangeTimezoneName"])
    interval = result["meta"]["dataGranularity"]
    moment = datetime.fromtimestamp(stamp, zone)
    if TIMEFRAMES[interval] in ("1m", "1h"):
        return moment.astimezone(UTC)
    day = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if interval == "1wk":
        return datetime.fromtimestamp(day.timestamp() - day.weekday() * 86_400, UTC)
    return day.replace(day=1) if interval == "1mo" else day


def test_yahoo_rows_are_what_was_sent(recorded: Path, subtests: pytest.Subtests) -> None:
    """Every row with prices becomes the bar of its date; the live row joins its own."""
    checked = 0
    for name, exchange, result in yahoo_results(recorded):
        quote = result["indicators"]["quote"][0]
        stamps = result.get("timestamp")
        if not stamps and any(quote.values()):
            continue
        timeframe = TIMEFRAMES[result["meta"]["dataGranularity"]]
        with subtests.test(name):
            page = parse("yahoo", exchange, timeframe=timeframe, adjustment="split")
            columns = [quote.get(key, []) for key in ("open", "high", "low", "close")]
            sent = {
                expected_date(result, stamp): prices
                for stamp, *prices in zip(stamps or [], *columns, strict=True)
                if prices != [None] * 4
            }
            bars = page.bars
            read = {
                from_us(int(bars.ts[i])): [
                    float(column[i]) for column in (bars.open, bars.high, bars.low, bars.close)
                ]
                for i in range(len(bars))
            }
            live = result["meta"].get("regularMarketTime")
            last = stamps[-1] if stamps else None
            settled = list(read)[:-1] if last == live or timeframe == "1h" else list(read)
            assert {stamp: read[stamp] for stamp in settled} == {
                stamp: sent[stamp] for stamp in settled
            }
            assert len(sent) - len(read) in ((0, 1) if last == live or timeframe == "1h" else (0,))
            assert len(read) == len(bars), "no stamp comes twice"
            checked += 1
    assert checked > 40


def test_yahoo_live_rows_of_recorded_sessions(recorded: Path) -> None:
    """Rows recorded within a session are forming, those after the close are not."""
    named = {name: exchange for name, exchange, _ in yahoo_results(recorded)}
    expected = {
        "historical_bars__v8_finance_chart_AAPL__1d_1mo__200": ("1d", False, 20),
        "historical_bars__v8_finance_chart_GME__1d_3mo__200": ("1d", False, 65),
        "historical_bars__v8_finance_chart_GME__60m__200": ("1h", False, 506),
        "historical_bars__v8_finance_chart_AAPL__1mo_5y__200": ("1mo", False, 60),
        "historical_bars__v8_finance_chart_AAPL__1d_1598220000__200": ("1d", True, 759),
        "historical_bars__v8_finance_chart_T__1h_1d__200": ("1h", True, 7),
        "historical_bars__v8_finance_chart_RIVN__1h_1d__200": ("1h", True, 7),
    }
    for name, (timeframe, final, rows) in expected.items():
        bars = parse("yahoo", named[name], timeframe=timeframe, adjustment="split").bars
        assert len(bars) == rows, name
        assert bars.final[:-1].all(), name
        assert bool(bars.final[-1]) is final, name


def test_yahoo_values_that_lost_their_stamps_are_refused(recorded: Path) -> None:
    """One recording has values and no timestamp: a defect, not an empty window."""
    refused = 0
    for _, exchange, result in yahoo_results(recorded):
        if not result.get("timestamp") and any(result["indicators"]["quote"][0].values()):
            with pytest.raises(PayloadError):
                parse("yahoo", exchange, adjustment="split")
            refused += 1
    assert refused


@pytest.mark.parametrize(
    ("start_of_name", "expected"),
    [
        ("error__v7_finance_download_", NoData),
        ("error__v10_finance_quoteSummary_", PermanentError),
        ("error__v6_finance_", PermanentError),
        ("error__v1_finance_search_", PermanentError),
    ],
)
def test_yahoo_errors_are_recognised(
    recorded: Path, start_of_name: str, expected: type[ProviderError]
) -> None:
    """Errors that yahoo really sent, from whichever of its endpoints, have their meaning."""
    found = [x for name, x in exchanges(recorded, "yahoo") if name.startswith(start_of_name)]
    assert found
    for exchange in found:
        with pytest.raises(expected):
            parse("yahoo", exchange, adjustment="split")


def test_polygon_rows_are_what_was_sent(recorded: Path) -> None:
    """Daily aggregates of stocks, crypto and currencies become the bars of their dates."""
    checked = 0
    for name, exchange in exchanges(recorded, "polygon"):
        if "_range_" not in name:
            continue
        document = json.loads(exchange["response"]["body"])
        symbol = document["ticker"]
        adjustment = "split" if document["adjusted"] else "raw"
        page = parse("polygon", exchange, vendor_symbol=symbol, adjustment=adjustment)
        zone = ZoneInfo("UTC" if symbol[:2] in ("X:", "C:") else "America/New_York")
        for i, row in enumerate(document["results"]):
            local = datetime.fromtimestamp(row["t"] / 1000, zone)
            assert (local.hour, local.minute) == (0, 0)
            bars = page.bars
            assert from_us(int(bars.ts[i])).date() == local.date()
            columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.vwap)
            assert [column[i] for column in columns] == [
                row[key] for key in ("o", "h", "l", "c", "v", "vw")
            ]
            assert bars.trades[i] == row["n"]
            assert page.raw_row(i) == row
        assert np.all(page.bars.final)
        assert len(page.bars) == len(document["results"])
        checked += 1
    assert checked == 4


def test_polygon_refuses_a_wrong_key_as_recorded(recorded: Path) -> None:
    """A recorded 401 stops the account."""
    (exchange,) = [x for name, x in exchanges(recorded, "polygon") if name.startswith("error__")]
    with pytest.raises(AuthError):
        parse("polygon", exchange)
