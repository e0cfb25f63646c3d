"""Facts about common symbols, shipped with the package: what they are, where and since when.

`symbols.csv` holds the facts, one symbol a line; it is read once per process, in a few
milliseconds and without pandas. A cell is empty where a fact is not certain: a wrong listing date
would hide bars, so a ticker that was another company's before has none.

Canonical symbols are the ticker of a US stock or fund, the usual name of an index (VIX), the root
of a futures chain (ES, for the spliced front month), the two currencies of a pair (EURUSD,
BTCUSD), and elsewhere the local code with a suffix for the exchange (VOD.L, 7203.T, 0700.HK). A US
stock whose ticker is a futures root carries `.US`: CL is crude oil, CL.US is Colgate-Palmolive. A
futures contract is its root, month letter and year, such as ESZ2013.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Final

from providers.instruments import AssetClass, Listing
from providers.reference.contracts import Contract, read_contract

VENDORS: Final = ("yahoo", "polygon")
# Who splices says how; the others have no name for a continuous series, or call it by contract.
ROLL_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {"yahoo": "yahoo's own splice of the front month, prices not back-adjusted"}
)
_SHORTEST_PART: Final = 3
_TABLE: Final = Path(__file__).with_name("symbols.csv")


@dataclass(frozen=True, slots=True)
class KnownSymbol:
    """Hold what is known of one canonical symbol without asking anybody.

    `vendors` maps a provider to its spelling; a provider of the table that is absent does not
    serve the instrument, or under a spelling that is not certain: the bare symbol may well be
    something else there. `underlying` is the root of a futures contract, else empty.
    """

    symbol: str
    listing: Listing
    vendors: Mapping[str, str]
    underlying: str = ""

    def roll_rule_at(self, provider: str) -> str:
        """Return how the provider splices this continuous series; empty for everything else."""
        continuous = self.listing.asset_class is AssetClass.CONTINUOUS
        return ROLL_RULES.get(provider, "") if continuous and provider in self.vendors else ""

    def is_unspelled_at(self, provider: str) -> bool:
        """Tell whether the table spells the provider's names, but not this one.

        Asking such a provider for the bare symbol may bring another instrument's bars.
        """
        return provider in VENDORS and provider not in self.vendors


def find_symbol(symbol: str) -> KnownSymbol | None:
    """Return what is known of a canonical symbol or of a futures contract of a known root.

    A contract may be asked as ESZ13 as well; the answer's `symbol` is then the canonical ESZ2013.
    """
    found = _table().get(symbol)
    if found is not None:
        return found
    contract = read_contract(symbol)
    return _contract(contract) if contract and contract.year is not None else None


def nearest_contract(code: str, *, today: date) -> KnownSymbol | None:
    """Return the contract of a known root that a one-digit year most probably means: ESZ3.

    That is the one whose year is nearest; of two as near, the coming one.
    """
    contract = read_contract(code)
    if contract is None or contract.year is not None:
        return None
    years = [(one.year or 0, one) for one in contract.decades()]
    _, nearest = min(years, key=lambda pair: (abs(pair[0] - today.year), -pair[0]))
    return _contract(nearest)


def find_vendor_symbol(provider: str, vendor_symbol: str) -> KnownSymbol | None:
    """Return the instrument that a provider calls by this name."""
    return _spellings().get((provider, vendor_symbol))


def search(text: str) -> list[KnownSymbol]:
    """Return what matches in symbol, name or a vendor's spelling, best first, in any case.

    Equal symbols come before equal spellings, then beginnings, words of names, and parts of three
    characters or more.
    """
    wanted = " ".join(text.lower().split())
    if not wanted:
        return []
    ranked = [
        (rank, place, known)
        for place, known in enumerate(_table().values())
        if (rank := _rank(known, wanted)) is not None
    ]
    contracts = [_contract(one) for one in _meant_contracts(text)]
    return [one for one in contracts if one] + [known for _, _, known in sorted(ranked, key=_order)]


def _order(ranked: tuple[int, int, KnownSymbol]) -> tuple[int, int]:
    return ranked[:2]


def _rank(known: KnownSymbol, wanted: str) -> int | None:
    symbol = known.symbol.lower()
    spellings = [spelling.lower() for spelling in known.vendors.values()]
    name = known.listing.name.lower()
    tests = (
        symbol == wanted,
        wanted in spellings,
        symbol.startswith(wanted),
        any(spelling.startswith(wanted) for spelling in spellings),
        f"{name} ".startswith(f"{wanted} "),
        f" {wanted} " in f" {name} ",
        f" {wanted}" in f" {name}",
        len(wanted) >= _SHORTEST_PART and (wanted in symbol or wanted in name),
    )
    return next((rank for rank, holds in enumerate(tests) if holds), None)


def _meant_contracts(text: str) -> list[Contract]:
    contract = read_contract(text.strip().upper())
    if contract is None or contract.root not in _table():
        return []
    return [contract] if contract.year is not None else contract.decades()


def _contract(contract: Contract) -> KnownSymbol | None:
    root = _table().get(contract.root)
    if root is None or root.listing.asset_class is not AssetClass.CONTINUOUS:
        return None
    product = root.listing.name.removesuffix(", front month")
    spelling = contract.yahoo_spelling()
    return KnownSymbol(
        symbol=contract.symbol,
        listing=Listing(
            name=f"{product}, {contract.delivery}",
            asset_class=AssetClass.FUTURE,
            venue=root.listing.venue,
            currency=root.listing.currency,
            has_volume=True,
            delisted_on=contract.delisted_on,
        ),
        vendors=MappingProxyType({"yahoo": spelling} if spelling else {}),
        underlying=contract.root,
    )


@functools.cache
def _table() -> Mapping[str, KnownSymbol]:
    with _TABLE.open(encoding="utf-8", newline="") as lines:
        return {row["symbol"]: _known(row) for row in csv.DictReader(lines)}


@functools.cache
def _spellings() -> Mapping[tuple[str, str], KnownSymbol]:
    return {
        (provider, spelling): known
        for known in _table().values()
        for provider, spelling in known.vendors.items()
    }


def _known(row: dict[str, str]) -> KnownSymbol:
    asset_class = AssetClass(row["asset_class"])
    vendors = {provider: row[provider] for provider in VENDORS if row[provider]}
    return KnownSymbol(
        symbol=row["symbol"],
        listing=Listing(
            name=row["name"],
            asset_class=asset_class,
            venue=row["venue"],
            currency=row["currency"],
            has_volume={"yes": True, "no": False}[row["volume"]],
            listed_from=_date(row["listed_from"]),
            delisted_on=_date(row["delisted_on"]),
            roll_rule=ROLL_RULES["yahoo"] if asset_class is AssetClass.CONTINUOUS else "",
        ),
        vendors=MappingProxyType(vendors),
    )


def _date(text: str) -> date | None:
    return date.fromisoformat(text) if text else None
