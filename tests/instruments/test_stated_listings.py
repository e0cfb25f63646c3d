"""What yahoo and polygon answer about a symbol, read from payloads of their shape."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from providers.adapters.polygon import Polygon
from providers.adapters.yahoo import Yahoo
from providers.errors import AuthError, PayloadError, ThrottledError, UnknownSymbol
from providers.instruments import AssetClass, Listing
from providers.types import Credentials, Response

VODAFONE = {
    "currency": "GBp",
    "symbol": "VOD.L",
    "exchangeName": "LSE",
    "fullExchangeName": "LSE",
    "instrumentType": "EQUITY",
    "firstTradeDate": 1279695600,
    "exchangeTimezoneName": "Europe/London",
    "longName": "Vodafone  Group plc",
}


def response(body: object, status: int = 200) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status=status, headers={}, body=raw, received_at=datetime.now(UTC))


def chart(**meta: Any) -> Response:
    result = {"meta": {**VODAFONE, **meta}, "indicators": {"quote": [{}]}}
    return response({"chart": {"result": [result], "error": None}})


def ticker(**results: Any) -> Response:
    return response({"request_id": "1", "results": results, "status": "OK"})


def test_yahoo_states_a_share() -> None:
    """Its exchange code becomes a MIC, the first trade a date of London."""
    assert Yahoo().parse_listing("VOD.L", chart()) == Listing(
        name="Vodafone Group plc",
        asset_class=AssetClass.EQUITY,
        venue="XLON",
        currency="GBp",
        has_volume=True,
        listed_from=date(2010, 7, 21),
    )


@pytest.mark.parametrize(
    ("symbol", "meta", "expected"),
    [
        (
            "GC=F",
            {"exchangeName": "CMX", "instrumentType": "FUTURE", "currency": "USD"},
            (AssetClass.CONTINUOUS, "XCEC", True, None),
        ),
        (
            "YM=F",
            {"exchangeName": "CBT", "instrumentType": "FUTURE", "currency": "USD"},
            (AssetClass.CONTINUOUS, "CMES", True, None),
        ),
        (
            "ESZ26.CME",
            {"exchangeName": "CME", "instrumentType": "FUTURE", "currency": "USD"},
            (AssetClass.FUTURE, "CMES", True, None),
        ),
        (
            "INR=X",
            {"exchangeName": "CCY", "instrumentType": "CURRENCY", "currency": "INR"},
            (AssetClass.FX, "FX", False, None),
        ),
        (
            "^VIX",
            {"exchangeName": "WCB", "instrumentType": "INDEX", "currency": "USD"},
            (AssetClass.INDEX, "XCBO", None, None),
        ),
        (
            "BTC-USD",
            {"exchangeName": "CCC", "instrumentType": "CRYPTOCURRENCY", "currency": "USD"},
            (AssetClass.CRYPTO, "24/7", True, None),
        ),
        (
            "GE",
            {"exchangeName": "NYQ", "firstTradeDate": -252322200},
            (AssetClass.EQUITY, "XNYS", True, None),
        ),
        (
            "CAPIO.ST",
            {"exchangeName": "YHD", "instrumentType": "MUTUALFUND", "currency": None},
            (AssetClass.OTHER, "", None, None),
        ),
    ],
)
def test_yahoo_states_no_more_than_it_knows(
    symbol: str, meta: dict[str, Any], expected: tuple[object, ...]
) -> None:
    """A first trade is a listing date of shares alone, and not where yahoo's own data begin."""
    found = Yahoo().parse_listing(symbol, chart(**meta))
    assert (found.asset_class, found.venue, found.has_volume, found.listed_from) == expected
    assert bool(found.roll_rule) == (expected[0] is AssetClass.CONTINUOUS)


def test_yahoos_refusals_mean_what_they_mean_for_bars() -> None:
    """An unknown symbol, a slower pace."""
    unknown = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
    with pytest.raises(UnknownSymbol, match="NOPE"):
        Yahoo().parse_listing("NOPE", response({"chart": {"result": None, "error": unknown}}, 404))
    with pytest.raises(ThrottledError):
        Yahoo().parse_listing("VOD.L", response(b"Too Many Requests\r\n", 429))


def test_polygon_states_a_share() -> None:
    """The MIC is stated, `list_date` is the first session."""
    answer = ticker(
        ticker="AAPL",
        name="Apple Inc.",
        market="stocks",
        primary_exchange="XNAS",
        type="CS",
        currency_name="usd",
        list_date="1980-12-12",
    )
    assert Polygon().parse_listing("AAPL", answer) == Listing(
        name="Apple Inc.",
        asset_class=AssetClass.EQUITY,
        venue="XNAS",
        currency="USD",
        has_volume=True,
        listed_from=date(1980, 12, 12),
    )


def test_polygon_states_other_markets() -> None:
    """Funds by type, an end by its moment, currencies and indices without volume."""
    gone = ticker(
        ticker="OLD", type="ETF", primary_exchange="ARCX", delisted_utc="2020-05-01T04:00:00Z"
    )
    fund = Polygon().parse_listing("OLD", gone)
    assert (fund.asset_class, fund.delisted_on) == (AssetClass.ETF, date(2020, 5, 1))
    pair = Polygon().parse_listing(
        "C:EURUSD", ticker(ticker="C:EURUSD", market="fx", currency_symbol="USD")
    )
    assert (pair.venue, pair.currency, pair.has_volume) == ("FX", "USD", False)
    index = Polygon().parse_listing("I:SPX", ticker(ticker="I:SPX", market="indices"))
    assert (index.asset_class, index.has_volume) == (AssetClass.INDEX, False)


def test_polygons_refusals_mean_what_they_mean_for_bars() -> None:
    """An unknown ticker, a wrong key, an answer that is none."""
    with pytest.raises(UnknownSymbol, match="NOPE"):
        Polygon().parse_listing("NOPE", response({"status": "NOT_FOUND"}, 404))
    with pytest.raises(AuthError):
        Polygon().parse_listing("AAPL", response({"status": "ERROR"}, 401))
    with pytest.raises(PayloadError):
        Polygon().parse_listing("AAPL", response({"status": "OK"}))


def test_a_key_travels_in_a_header() -> None:
    """Neither address nor parameters show it."""
    request = Polygon().build_listing_request(
        "X:BTCUSD", credentials=Credentials(key="hush"), base_url="http://here/"
    )
    assert request is not None
    assert request.url == "http://here/v3/reference/tickers/X:BTCUSD"
    assert request.headers["Authorization"] == "Bearer hush"
    assert "hush" not in repr(request)


@pytest.mark.skipif("MDC_RECORDED_DIR" not in os.environ, reason="MDC_RECORDED_DIR is not set")
def test_every_recorded_chart_says_what_it_shows() -> None:
    """Each exchange that was recorded is known, and each date is a session of it or earlier."""
    seen = set()
    for path in sorted(Path(os.environ["MDC_RECORDED_DIR"], "http", "yahoo").glob("*chart*.json")):
        answer = json.loads(path.read_text(encoding="utf-8"))["response"]
        body = answer["body"] if isinstance(answer["body"], str) else json.dumps(answer["body"])
        if answer["status"] != 200 or '"meta"' not in body:
            continue
        result = json.loads(body)["chart"]["result"]
        symbol = result[0]["meta"]["symbol"]
        found = Yahoo().parse_listing(symbol, response(body.encode()))
        assert found.venue or result[0]["meta"]["exchangeName"] == "YHD", symbol
        seen.add(symbol)
    assert {"AAPL", "EURUSD=X", "GC=F", "^GSPC", "OCDO.L"} <= seen
