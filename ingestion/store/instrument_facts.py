"""Read what planning must know of instruments, stored or not, a whole list at a time."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any

from django.db import connection

from providers.base import Adapter
from providers.instruments import AssetClass, Listing
from providers.reference import (
    KnownSymbol,
    find_symbol,
    find_vendor_symbol,
    nearest_contract,
)

DEFAULT_VENUE = "XNYS"


@dataclass(frozen=True, slots=True)
class Alias:
    """Say how a provider calls an instrument, and within which stamps; None is open."""

    vendor_symbol: str
    start: datetime | None = None
    end: datetime | None = None


def name_at(aliases: Sequence[Alias], moment: datetime) -> str:
    """Return the name that holds at a stamp; outside all of them, the newest one."""
    for alias in aliases:
        if (alias.start is None or alias.start <= moment) and (
            alias.end is None or moment < alias.end
        ):
            return alias.vendor_symbol
    return aliases[-1].vendor_symbol


@dataclass(frozen=True, slots=True)
class InstrumentFacts:
    """Hold what is known of an instrument before any series of it need exist.

    `aliases` are the provider's names for it, ascending in time and never empty; `is_unspelled`
    means that its only one is a bare symbol that may well be something else there. `facts_from`
    says who stated the listing, `stored` whether the instrument exists. `known_as` is a known
    symbol that is probably meant: it differs from the asked one in case or spelling alone, or the
    provider calls it by the asked one's name; else empty.
    """

    symbol: str
    aliases: tuple[Alias, ...]
    listing: Listing
    facts_from: str
    underlying: str = ""
    stored: bool = False
    is_unspelled: bool = False
    known_as: str = ""

    @property
    def vendor_symbol(self) -> str:
        """Return the provider's newest name."""
        return self.aliases[-1].vendor_symbol

    @property
    def venue(self) -> str:
        """Return where it trades."""
        return self.listing.venue

    @property
    def listed_from(self) -> datetime | None:
        """Return the stamp of its first session, where it is known."""
        return midnight(self.listing.listed_from)

    @property
    def delisted_on(self) -> datetime | None:
        """Return the first stamp without a session, where it is known."""
        return midnight(self.listing.delisted_on)


@functools.lru_cache(maxsize=4096)
def midnight(day: date | None) -> datetime | None:
    """Return the stamp of a session date."""
    return datetime.combine(day, time.min, tzinfo=UTC) if day else None


def instrument_facts(
    symbols: Sequence[str], *, adapter: Adapter, venue: str | None, today: date
) -> dict[str, InstrumentFacts]:
    """Look instruments up without creating them, in the order asked.

    What is stored is the truth. Of the rest the shipped reference says, then the spelling itself as
    the provider's grammar reads it; `venue` overrides both. A bounded number of queries.
    """
    stored = _stored(symbols)
    aliases = read_aliases(stored, provider=adapter.name)
    found: dict[str, InstrumentFacts] = {}
    for symbol in symbols:
        facts = stored.get(symbol) or _described(symbol, adapter=adapter, venue=venue)
        if symbol in aliases:
            facts = replace(facts, aliases=aliases[symbol])
        else:
            facts = _spelled(facts, provider=adapter.name)
        found[symbol] = facts
    meant = _probably_meant(
        [one for symbol, one in found.items() if symbol not in aliases],
        provider=adapter.name,
        today=today,
    )
    return {
        symbol: replace(facts, known_as=meant.get(symbol, "")) for symbol, facts in found.items()
    }


def _stored(symbols: Sequence[str]) -> dict[str, InstrumentFacts]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT symbol, underlying, facts_from, name, asset_class, venue, currency, has_volume,"
            " listed_from, delisted_on FROM instrument WHERE symbol = ANY(%s)",
            [list(symbols)],
        )
        return {row[0]: _stored_facts(row) for row in cursor.fetchall()}


def _stored_facts(row: tuple[Any, ...]) -> InstrumentFacts:
    return InstrumentFacts(
        symbol=row[0],
        aliases=(),
        listing=Listing(
            name=row[3],
            asset_class=AssetClass(row[4]),
            venue=row[5],
            currency=row[6],
            has_volume=row[7],
            listed_from=row[8],
            delisted_on=row[9],
        ),
        facts_from=row[2],
        underlying=row[1],
        stored=True,
    )


def read_aliases(symbols: Iterable[str], *, provider: str) -> dict[str, tuple[Alias, ...]]:
    """Read a provider's names of stored instruments, each in the order of time."""
    wanted = list(symbols)
    if not wanted:
        return {}
    found: dict[str, tuple[Alias, ...]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.symbol, p.vendor_symbol, lower(p.valid), upper(p.valid)"
            " FROM provider_symbol p JOIN instrument i ON i.id = p.instrument_id"
            " WHERE p.provider = %s AND i.symbol = ANY(%s) AND NOT isempty(p.valid)"
            " ORDER BY p.valid",
            [provider, wanted],
        )
        for symbol, vendor_symbol, first, last in cursor.fetchall():
            alias = Alias(vendor_symbol, midnight(first), midnight(last))
            found[symbol] = (*found.get(symbol, ()), alias)
    return found


def _described(symbol: str, *, adapter: Adapter, venue: str | None) -> InstrumentFacts:
    """Describe an instrument that is not stored: as the reference knows it, else by a guess.

    Of another venue than theirs it is something else, of which only the venue is known.
    """
    known, guess = find_symbol(symbol), adapter.guess_listing(symbol)
    listing = known.listing if known else guess or Listing()
    facts = InstrumentFacts(
        symbol=symbol,
        aliases=(),
        listing=listing if listing.venue else replace(listing, venue=DEFAULT_VENUE),
        facts_from="reference" if known else "guess",
        underlying=known.underlying if known else "",
    )
    if venue is None or (known and venue.upper() == listing.venue):
        return facts
    if venue.upper() != listing.venue and listing.venue:
        facts = replace(facts, listing=Listing(), underlying="")
    return replace(facts, listing=replace(facts.listing, venue=venue.upper()), facts_from="user")


def _spelled(facts: InstrumentFacts, *, provider: str) -> InstrumentFacts:
    """Name an instrument as the provider spells it, where nobody has said how it does."""
    known = _in_reference(facts)
    if known is None:
        return replace(facts, aliases=(Alias(facts.symbol),))
    return replace(
        facts,
        aliases=(Alias(known.vendors.get(provider, facts.symbol)),),
        listing=replace(facts.listing, roll_rule=known.roll_rule_at(provider)),
        is_unspelled=known.is_unspelled_at(provider),
    )


def _in_reference(facts: InstrumentFacts) -> KnownSymbol | None:
    """Return what the reference says, unless it speaks of another instrument of that symbol."""
    known = find_symbol(facts.symbol)
    same = known is not None and facts.listing.venue == known.listing.venue
    return known if same or facts.facts_from == "guess" else None


def _probably_meant(
    nameless: Sequence[InstrumentFacts], *, provider: str, today: date
) -> dict[str, str]:
    """Find the known symbols that people probably mean by symbols the provider has no name for."""
    if not nameless:
        return {}
    unknown = [one.symbol for one in nameless if not one.stored]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT g.symbol, i.symbol FROM unnest(%s::text[], %s::text[]) AS g(symbol, spelling)"
            " JOIN provider_symbol p ON p.vendor_symbol IN (g.symbol, g.spelling)"
            " JOIN instrument i ON i.id = p.instrument_id AND i.symbol <> g.symbol"
            # Whose name has ended was called so once; by now the name may be another's.
            " WHERE p.provider = %s AND (upper_inf(p.valid) OR upper(p.valid) > %s)",
            [
                [one.symbol for one in nameless],
                [one.vendor_symbol for one in nameless],
                provider,
                today,
            ],
        )
        meant = dict(cursor.fetchall())
        if unknown:
            cursor.execute(
                "SELECT u.asked, min(i.symbol) FROM unnest(%s::text[]) AS u(asked)"
                # Asked for at once by somebody else, a symbol may be known as itself by now.
                " JOIN instrument i ON upper(i.symbol) = upper(u.asked) AND i.symbol <> u.asked"
                " GROUP BY u.asked",
                [unknown],
            )
            meant = dict(cursor.fetchall()) | meant
    return {
        symbol: _canonical(symbol, provider=provider, today=today) for symbol in unknown
    } | meant


def _canonical(symbol: str, *, provider: str, today: date) -> str:
    """Return the reference's symbol of what was asked in another spelling, else nothing."""
    known = (
        find_symbol(symbol)
        or find_vendor_symbol(provider, symbol)
        or find_symbol(symbol.upper())
        or nearest_contract(symbol.upper(), today=today)
    )
    return known.symbol if known and known.symbol != symbol else ""
