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

    `aliases` are the provider's names for it, ascending in time and never empty. `facts_from` says
    who stated the listing, `stored` whether the instrument exists. `known_as` is a known symbol
    that is probably meant: it differs from the asked one in case alone, or the provider calls it by
    the asked one's name; else empty.
    """

    symbol: str
    aliases: tuple[Alias, ...]
    listing: Listing
    facts_from: str
    underlying: str = ""
    stored: bool = False
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
    nameless = [symbol for symbol in symbols if symbol not in aliases]
    meant = _probably_meant(nameless, provider=adapter.name, stored=stored, today=today)
    found: dict[str, InstrumentFacts] = {}
    for symbol in symbols:
        facts = stored.get(symbol) or _described(symbol, adapter=adapter, venue=venue)
        names = aliases.get(symbol) or (Alias(_vendor_spelling(symbol, provider=adapter.name)),)
        found[symbol] = replace(facts, aliases=names, known_as=meant.get(symbol, ""))
    return found


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
    """Describe an instrument that is not stored."""
    guess = adapter.guess_listing(symbol)
    listing, facts_from = guess or Listing(), "guess"
    if venue:
        listing, facts_from = replace(listing, venue=venue.upper()), "user"
    elif not listing.venue:
        listing = replace(listing, venue=DEFAULT_VENUE)
    return InstrumentFacts(symbol=symbol, aliases=(), listing=listing, facts_from=facts_from)


def _vendor_spelling(symbol: str, *, provider: str) -> str:
    return symbol


def _probably_meant(
    nameless: Sequence[str],
    *,
    provider: str,
    stored: dict[str, InstrumentFacts],
    today: date,
) -> dict[str, str]:
    """Find the known symbols that people probably mean by symbols the provider has no name for."""
    if not nameless:
        return {}
    unknown = [symbol for symbol in nameless if symbol not in stored]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.vendor_symbol, i.symbol FROM provider_symbol p"
            " JOIN instrument i ON i.id = p.instrument_id"
            # Whose name ended was called so once; the name may be another's by now.
            " WHERE p.provider = %s AND p.vendor_symbol = ANY(%s)"
            "   AND (upper_inf(p.valid) OR upper(p.valid) > %s)",
            [provider, list(nameless), today],
        )
        meant = dict(cursor.fetchall())
        if unknown:
            cursor.execute(
                "SELECT u.asked, min(i.symbol) FROM unnest(%s::text[]) AS u(asked)"
                " JOIN instrument i ON upper(i.symbol) = upper(u.asked) GROUP BY u.asked",
                [unknown],
            )
            meant = dict(cursor.fetchall()) | meant
    return meant
