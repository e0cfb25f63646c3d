"""Read what a provider's spelling of a symbol alone says of the instrument.

Sources: yahoo's list of exchanges and suffixes; polygon's ticker prefixes. Only what the spelling
says is answered: everything else stays empty or None.
"""

from __future__ import annotations

import re
from typing import Final

from providers.instruments import AssetClass, Listing
from providers.reference import ROLL_RULES, find_symbol, find_vendor_symbol
from providers.reference.contracts import SEGMENTS, read_contract

# Suffix -> venue and the currency in which its shares are usually quoted; GBp, ZAc and ILA are
# hundredths.
_YAHOO_SUFFIXES: Final = {
    "AS": ("XAMS", "EUR"),
    "AX": ("XASX", "AUD"),
    "BA": ("XBUE", "ARS"),
    "BD": ("XBUD", "HUF"),
    "BK": ("XBKK", "THB"),
    "BO": ("XBOM", "INR"),
    "BR": ("XBRU", "EUR"),
    "CO": ("XCSE", "DKK"),
    "DE": ("XETR", "EUR"),
    "F": ("XFRA", "EUR"),
    "HE": ("XHEL", "EUR"),
    "HK": ("XHKG", "HKD"),
    "IC": ("XICE", "ISK"),
    "IR": ("XDUB", "EUR"),
    "IS": ("XIST", "TRY"),
    "JK": ("XIDX", "IDR"),
    "JO": ("XJSE", "ZAc"),
    "KL": ("XKLS", "MYR"),
    "KS": ("XKRX", "KRW"),
    "L": ("XLON", "GBp"),
    "LS": ("XLIS", "EUR"),
    "MC": ("XMAD", "EUR"),
    "MI": ("XMIL", "EUR"),
    "MX": ("XMEX", "MXN"),
    "NS": ("XNSE", "INR"),
    "NZ": ("XNZE", "NZD"),
    "OL": ("XOSL", "NOK"),
    "PA": ("XPAR", "EUR"),
    "PR": ("XPRA", "CZK"),
    "SA": ("BVMF", "BRL"),
    "SI": ("XSES", "SGD"),
    "SN": ("XSGO", "CLP"),
    "SR": ("XSAU", "SAR"),
    "SS": ("XSHG", "CNY"),
    "ST": ("XSTO", "SEK"),
    "SW": ("XSWX", "CHF"),
    "T": ("XTKS", "JPY"),
    "TA": ("XTAE", "ILA"),
    "TO": ("XTSE", "CAD"),
    "TW": ("XTAI", "TWD"),
    "V": ("XTSX", "CAD"),
    "VI": ("XWBO", "EUR"),
    "WA": ("XWAR", "PLN"),
}
# Roots that yahoo lists from ICE Futures US; every other one of its roots is CME Group's.
_ICE_ROOTS: Final = frozenset({"CC", "CT", "DX", "KC", "OJ", "SB"})
_CRYPTO: Final = re.compile(r"[A-Z0-9]{2,}-(USD|EUR|GBP|JPY|KRW|CAD|AUD)")
_PAIR: Final = re.compile(r"(?:[A-Z]{3})?([A-Z]{3})=X")
_POLYGON_PAIR: Final = re.compile(r"([XC]):[A-Z0-9]+?([A-Z]{3})")


def read_yahoo_symbol(spelling: str) -> Listing | None:
    """Return what yahoo's spelling says; None for a bare ticker, which is some US exchange's.

    `=F` is a future, `=X` a currency pair, `-USD` crypto, `^` an index, `.L` and the like an
    exchange. An index may come with the volume of its members: whether it has one stays open.
    """
    known = find_vendor_symbol("yahoo", spelling)
    if known is not None:
        return known.listing
    if spelling.startswith("^"):
        return Listing(asset_class=AssetClass.INDEX)
    if spelling.endswith("=F"):
        return Listing(
            asset_class=AssetClass.CONTINUOUS,
            venue="IEPA" if spelling[:-2] in _ICE_ROOTS else "CMES",
            currency="USD",
            has_volume=True,
            roll_rule=ROLL_RULES["yahoo"],
        )
    if pair := _PAIR.fullmatch(spelling):
        return _fx(pair[1])
    if coin := _CRYPTO.fullmatch(spelling):
        return _crypto(coin[1])
    return _read_suffix(spelling)


def read_polygon_symbol(spelling: str) -> Listing | None:
    """Return what polygon's spelling says: `X:` crypto, `C:` currencies, `I:` indices.

    Its counts of quotes are no volume, so that currencies and indices have none.
    """
    known = find_vendor_symbol("polygon", spelling)
    if known is not None:
        return known.listing
    if spelling.startswith("I:"):
        return Listing(asset_class=AssetClass.INDEX, has_volume=False)
    if pair := _POLYGON_PAIR.fullmatch(spelling):
        return _crypto(pair[2]) if pair[1] == "X" else _fx(pair[2])
    return None


def read_contract_symbol(spelling: str) -> Listing | None:
    """Return what the bare code of a futures contract says, such as ESZ2013, ESZ13 or ESZ3.

    None where the root is not a known one: most tickers that end in a digit are no contracts.
    """
    contract = read_contract(spelling)
    if contract is None:
        return None
    root = find_symbol(contract.root)
    if root is None or root.listing.asset_class is not AssetClass.CONTINUOUS:
        return None
    return Listing(
        asset_class=AssetClass.FUTURE,
        venue=root.listing.venue,
        currency=root.listing.currency,
        has_volume=True,
        delisted_on=contract.delisted_on,
    )


def _read_suffix(spelling: str) -> Listing | None:
    code, dot, suffix = spelling.rpartition(".")
    if not dot:
        return None
    if suffix in SEGMENTS:
        return read_contract_symbol(code)
    if suffix not in _YAHOO_SUFFIXES:
        return None
    venue, currency = _YAHOO_SUFFIXES[suffix]
    return Listing(venue=venue, currency=currency)


def _fx(currency: str) -> Listing:
    return Listing(asset_class=AssetClass.FX, venue="FX", currency=currency, has_volume=False)


def _crypto(currency: str) -> Listing:
    return Listing(asset_class=AssetClass.CRYPTO, venue="24/7", currency=currency, has_volume=True)
