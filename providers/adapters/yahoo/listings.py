"""The `meta` of a chart answer as a Listing; yahoo has no better page that needs no cookie.

Facts: `exchangeName` is yahoo's own code of the exchange, `firstTradeDate` the first bar that yahoo
holds, in seconds. For shares that is their first session, unless it is a day on which one of
yahoo's sources begins; for indices, currencies, coins and spliced futures it says nothing of the
instrument. `currency` may be in hundredths (GBp). Codes as recorded and as yahoo's pages show them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from providers.adapters.yahoo.wire import Meta
from providers.instruments import AssetClass, Listing
from providers.reference import ROLL_RULES
from providers.reference.spellings import read_yahoo_symbol

_MICS: Final = {
    "NMS": "XNAS",
    "NGM": "XNAS",
    "NCM": "XNAS",
    "NIM": "XNAS",
    "NYQ": "XNYS",
    "SNP": "XNYS",
    "DJI": "XNYS",
    "PCX": "ARCX",
    "ASE": "XASE",
    "BTS": "BATS",
    "PNK": "OTCM",
    "OQB": "OTCM",
    "OQX": "OTCM",
    "WCB": "XCBO",
    "CBO": "XCBO",
    "CME": "CMES",
    "CBT": "XCBT",
    "NYM": "XNYM",
    "CMX": "XCEC",
    "NYB": "IEPA",
    "CCY": "FX",
    "CCC": "24/7",
    "TOR": "XTSE",
    "VAN": "XTSX",
    "MEX": "XMEX",
    "SAO": "BVMF",
    "BUE": "XBUE",
    "SGO": "XSGO",
    "LSE": "XLON",
    "FGI": "XLON",
    "PAR": "XPAR",
    "AMS": "XAMS",
    "BRU": "XBRU",
    "LIS": "XLIS",
    "GER": "XETR",
    "FRA": "XFRA",
    "MIL": "XMIL",
    "MCE": "XMAD",
    "EBS": "XSWX",
    "VIE": "XWBO",
    "STO": "XSTO",
    "CPH": "XCSE",
    "HEL": "XHEL",
    "OSL": "XOSL",
    "ISE": "XDUB",
    "WSE": "XWAR",
    "IST": "XIST",
    "JNB": "XJSE",
    "TLV": "XTAE",
    "SAU": "XSAU",
    "JPX": "XTKS",
    "OSA": "XTKS",
    "HKG": "XHKG",
    "SHH": "XSHG",
    "SHZ": "XSHG",
    "TAI": "XTAI",
    "KSC": "XKRX",
    "NSI": "XNSE",
    "BSE": "XBOM",
    "SES": "XSES",
    "SET": "XBKK",
    "KLS": "XKLS",
    "JKT": "XIDX",
    "ASX": "XASX",
    "NZE": "XNZE",
}
_CLASSES: Final = {
    "EQUITY": AssetClass.EQUITY,
    "ETF": AssetClass.ETF,
    "INDEX": AssetClass.INDEX,
    "FUTURE": AssetClass.FUTURE,
    "CURRENCY": AssetClass.FX,
    "CRYPTOCURRENCY": AssetClass.CRYPTO,
}
# Days on which whole sources of yahoo's begin: shares that "start" there are older.
_SOURCES_BEGIN: Final = frozenset(
    {
        date(1962, 1, 2),
        date(1970, 1, 2),
        date(1972, 6, 1),
        date(1973, 2, 21),
        date(1980, 3, 17),
        date(1988, 7, 1),
        date(1999, 5, 6),
        date(2000, 1, 3),
        date(2000, 1, 4),
    }
)
_SHARES: Final = frozenset({AssetClass.EQUITY, AssetClass.ETF})
_FUTURES: Final = frozenset({AssetClass.CONTINUOUS, AssetClass.FUTURE})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_listing(vendor_symbol: str, meta: Meta) -> Listing:
    """Read what a chart says of its instrument; `listed_from` is a date of the exchange's zone."""
    asset_class = _asset_class(vendor_symbol, meta)
    return Listing(
        name=" ".join((meta.long_name or meta.short_name or "").split()),
        asset_class=asset_class,
        venue=_venue(vendor_symbol, meta, asset_class=asset_class),
        currency=meta.currency or "",
        has_volume=_has_volume(asset_class),
        listed_from=_first_session(meta) if asset_class in _SHARES else None,
        roll_rule=ROLL_RULES["yahoo"] if asset_class is AssetClass.CONTINUOUS else "",
    )


def _asset_class(vendor_symbol: str, meta: Meta) -> AssetClass | None:
    if meta.instrument_type is None:
        return None
    found = _CLASSES.get(meta.instrument_type, AssetClass.OTHER)
    spliced = found is AssetClass.FUTURE and vendor_symbol.endswith("=F")
    return AssetClass.CONTINUOUS if spliced else found


def _venue(vendor_symbol: str, meta: Meta, *, asset_class: AssetClass | None) -> str:
    # Products of one exchange keep different hours: YM is CBOT's and halted with CME's indices.
    product = read_yahoo_symbol(vendor_symbol) if asset_class in _FUTURES else None
    return product.venue if product else _MICS.get(meta.exchange_name or "", "")


def _has_volume(asset_class: AssetClass | None) -> bool | None:
    # Some indices come with the volume of their members, some with zeros.
    if asset_class in (None, AssetClass.INDEX, AssetClass.OTHER):
        return None
    return asset_class is not AssetClass.FX


def _first_session(meta: Meta) -> date | None:
    if meta.first_trade_date is None:
        return None
    try:
        zone = ZoneInfo(meta.exchange_timezone_name)
    except (ZoneInfoNotFoundError, ValueError):
        return None
    day = (_EPOCH + timedelta(seconds=meta.first_trade_date)).astimezone(zone).date()
    return None if day in _SOURCES_BEGIN else day
