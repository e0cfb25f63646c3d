"""Polygon's /v3/reference/tickers/{ticker} as a Listing.

Facts: `primary_exchange` is a MIC and only stocks have one, `list_date` their first session,
`type` CS, ADRC, ETF ...; currencies and coins name their quote currency in `currency_symbol`.
`delisted_utc` is the moment at which a ticker ended, at midnight after its last session.
"""

from __future__ import annotations

from datetime import date
from typing import Final
from urllib.parse import quote

import msgspec

from providers.decoding import decode_json
from providers.errors import PayloadError
from providers.instruments import AssetClass, Listing
from providers.types import Credentials, Request

PATH: Final = "/v3/reference/tickers/"
_FUNDS: Final = frozenset({"ETF", "ETN", "ETS", "ETV"})
_SHARES: Final = frozenset({"ADRC", "ADRP", "CS", "GDR", "NYRS", "OS", "PFD"})
_MARKETS: Final = {
    "crypto": (AssetClass.CRYPTO, "24/7", True),
    "fx": (AssetClass.FX, "FX", False),
    "indices": (AssetClass.INDEX, "", False),
}


class _Ticker(msgspec.Struct):
    ticker: str
    name: str = ""
    market: str = "stocks"
    type: str = ""
    primary_exchange: str = ""
    currency_name: str = ""
    currency_symbol: str = ""
    list_date: date | None = None
    delisted_utc: str = ""


class _Envelope(msgspec.Struct):
    results: _Ticker | None = None


def build_listing_request(
    vendor_symbol: str, *, credentials: Credentials, base_url: str
) -> Request:
    """Ask for one ticker; the key travels in a header."""
    headers = {"Accept": "application/json"}
    if credentials.key:
        headers["Authorization"] = f"Bearer {credentials.key}"
    return Request(
        url=f"{base_url.rstrip('/')}{PATH}{quote(vendor_symbol, safe=':')}", headers=headers
    )


def read_listing(body: bytes) -> Listing:
    """Read an answer of status 200; raises PayloadError."""
    found = decode_json(body, _Envelope, provider="polygon").results
    if found is None:
        raise PayloadError("polygon answered without a ticker; try again later", provider="polygon")
    if found.market in _MARKETS:
        asset_class, venue, has_volume = _MARKETS[found.market]
        return Listing(
            name=found.name,
            asset_class=asset_class,
            venue=venue,
            currency=found.currency_symbol.upper(),
            has_volume=has_volume,
        )
    return Listing(
        name=found.name,
        asset_class=_asset_class(found.type),
        venue=found.primary_exchange,
        currency=_code(found.currency_name),
        has_volume=True,
        listed_from=found.list_date,
        delisted_on=_day(found.delisted_utc),
    )


def _asset_class(type_: str) -> AssetClass | None:
    if type_ in _FUNDS:
        return AssetClass.ETF
    if type_ in _SHARES:
        return AssetClass.EQUITY
    return AssetClass.OTHER if type_ else None


def _code(name: str) -> str:
    return name.upper() if len(name) == 3 else ""


def _day(moment: str) -> date | None:
    try:
        return date.fromisoformat(moment[:10]) if moment else None
    except ValueError:
        raise PayloadError(
            f"polygon states an end that is no date ({moment[:20]!r}); try again later",
            provider="polygon",
        ) from None
