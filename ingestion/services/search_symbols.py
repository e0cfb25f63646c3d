"""Find symbols: what is stored first, then what the shipped reference knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ingestion.domain.errors import BadRequest
from ingestion.domain.listing_facts import Facts
from ingestion.store import instruments
from providers.reference import KnownSymbol, search

MOST_FOUND = 50


@dataclass(frozen=True, slots=True)
class FoundSymbol:
    """Hold one match; `vendors` are the providers' newest names, `stored` tells who holds it."""

    symbol: str
    facts: Facts
    vendors: Mapping[str, str]
    stored: bool


def search_symbols(text: str, *, limit: int = MOST_FOUND) -> tuple[FoundSymbol, ...]:
    """Return what matches in symbol, name or spelling, nearest first; each symbol once.

    Raises BadRequest for an empty text.
    """
    if not text.strip():
        raise BadRequest("say what to look for, such as ES, vodafone or EURUSD=X", field="text")
    found = {row.symbol: _stored(row) for row in instruments.search_instruments(text, limit=limit)}
    for known in search(text):
        if len(found) >= limit:
            break
        found.setdefault(known.symbol, _known(known))
    return tuple(found.values())


def _stored(row: instruments.InstrumentRow) -> FoundSymbol:
    # In the order of time: of two names the newer one stays.
    vendors = {name.provider: name.vendor_symbol for name in instruments.names_of(row.id)}
    return FoundSymbol(symbol=row.symbol, facts=row.facts, vendors=vendors, stored=True)


def _known(known: KnownSymbol) -> FoundSymbol:
    return FoundSymbol(
        symbol=known.symbol,
        facts=Facts(known.listing, facts_from="reference", underlying=known.underlying),
        vendors=known.vendors,
        stored=False,
    )
