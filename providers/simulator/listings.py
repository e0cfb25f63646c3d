"""What simulated providers say of an instrument itself: as the reference knows it, else a stock."""

from __future__ import annotations

from typing import Final

from providers.instruments import AssetClass, Listing
from providers.reference.spellings import (
    read_contract_symbol,
    read_polygon_symbol,
    read_yahoo_symbol,
)

_YAHOO_TYPES: Final = {
    AssetClass.EQUITY: "EQUITY",
    AssetClass.ETF: "ETF",
    AssetClass.INDEX: "INDEX",
    AssetClass.FUTURE: "FUTURE",
    AssetClass.CONTINUOUS: "FUTURE",
    AssetClass.FX: "CURRENCY",
    AssetClass.CRYPTO: "CRYPTOCURRENCY",
    AssetClass.OTHER: "MUTUALFUND",
}
_YAHOO_EXCHANGES: Final = {
    "XNAS": ("NMS", "NasdaqGS"),
    "XNYS": ("NYQ", "NYSE"),
    "ARCX": ("PCX", "NYSEArca"),
    "BATS": ("BTS", "Cboe US"),
    "XCBO": ("WCB", "Cboe Indices"),
    "CMES": ("CME", "CME"),
    "XIMM": ("CME", "CME"),
    "XNYM": ("NYM", "NY Mercantile"),
    "XCEC": ("CMX", "COMEX"),
    "XCBT": ("CBT", "CBOT"),
    "FX": ("CCY", "CCY"),
    "24/7": ("CCC", "CCC"),
    "XLON": ("LSE", "LSE"),
    "XTKS": ("JPX", "Tokyo"),
    "XHKG": ("HKG", "HKSE"),
    "XETR": ("GER", "XETRA"),
    "XPAR": ("PAR", "Paris"),
}
_POLYGON_MARKETS: Final = {
    AssetClass.INDEX: "indices",
    AssetClass.FX: "fx",
    AssetClass.CRYPTO: "crypto",
}


def listing_of(symbol: str) -> Listing:
    """Return what is served under a provider's spelling; a bare unknown one is a stock."""
    return (
        read_yahoo_symbol(symbol)
        or read_polygon_symbol(symbol)
        or read_contract_symbol(symbol)
        or Listing()
    )


def yahoo_meta(symbol: str, *, venue: str) -> dict[str, object]:
    """Return the part of a chart's meta that says what the instrument is."""
    listing = listing_of(symbol)
    # Where yahoo no longer says which exchange it was, it names itself.
    unsaid = ("YHD", "YHD") if listing.venue else ("NYQ", "NYSE")
    code, exchange = _YAHOO_EXCHANGES.get(listing.venue or venue, unsaid)
    meta: dict[str, object] = {
        "currency": listing.currency or "USD",
        "exchangeName": code,
        "fullExchangeName": exchange,
        "instrumentType": _YAHOO_TYPES[listing.asset_class or _usual_class(venue)],
    }
    if listing.name:
        meta |= {"longName": listing.name, "shortName": listing.name}
    return meta


def polygon_ticker(symbol: str) -> dict[str, object]:
    """Return polygon's page of reference data about a ticker."""
    listing = listing_of(symbol)
    market = _POLYGON_MARKETS.get(listing.asset_class or AssetClass.EQUITY)
    page: dict[str, object] = {"ticker": symbol, "name": listing.name or symbol, "active": True}
    if market is not None:
        return {**page, "market": market, "locale": "global", "currency_symbol": listing.currency}
    page |= {
        "market": "stocks",
        "locale": "us",
        "primary_exchange": listing.venue or "XNYS",
        "type": "ETF" if listing.asset_class is AssetClass.ETF else "CS",
        "currency_name": (listing.currency or "USD").lower(),
    }
    if listing.listed_from is not None:
        page["list_date"] = listing.listed_from.isoformat()
    return page


def _usual_class(venue: str) -> AssetClass:
    return {
        "24/7": AssetClass.CRYPTO,
        "24/5": AssetClass.FX,
        "FX": AssetClass.FX,
        "CMES": AssetClass.FUTURE,
    }.get(venue, AssetClass.EQUITY)
