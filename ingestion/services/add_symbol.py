"""Make a symbol known, or correct what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
from django.db import transaction

from ingestion.calendars import sessions_for
from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest, MdcError
from ingestion.domain.listing_facts import Facts, UserWord, completed, heard, told
from ingestion.domain.symbols import check_symbols
from ingestion.services.reset_state import reset_state
from ingestion.store import audit, instruments
from ingestion.store.instrument_facts import DEFAULT_VENUE
from ingestion.store.instruments import InstrumentRow, NameRow, NameTaken, StoredExtent
from ingestion.store.storable import storable_text
from ingestion.store.venues import ensure_venue_sessions
from providers.instruments import AssetClass, Listing
from providers.reference import VENDORS, find_symbol, find_vendor_symbol
from providers.reference.contracts import read_contract
from providers.reference.spellings import read_contract_symbol, read_yahoo_symbol
from providers.registry import get_adapter
from providers.sessions import Sessions
from providers.venues import UnknownVenue

_LONGEST = {"name": 200, "currency": 8, "underlying": 64}
# A session's bars may be stamped on the day before or after its date.
_STAMP_SLACK: Final = timedelta(days=1)


class Contradicted(MdcError):
    """Signal facts that contradict what is stored; `rejudge` tells whether a reset would help."""

    def __init__(self, message: str, *, symbol: str, rejudge: bool) -> None:
        super().__init__(message)
        self.symbol = symbol
        self.rejudge = rejudge


@dataclass(frozen=True, slots=True)
class Stated:
    """Hold what a provider said of a symbol under its own name for it."""

    provider: str
    vendor_symbol: str
    listing: Listing


@dataclass(frozen=True, slots=True)
class Added:
    """Say what became of a symbol; `rejudged` counts the series that are fetched again."""

    symbol: str
    facts: Facts
    created: bool
    changed: bool
    rejudged: int


def add_symbol(
    symbol: str,
    *,
    word: UserWord,
    stated: Stated | None = None,
    rejudge: bool = False,
    actor: Actor,
    reason: str = "",
) -> Added:
    """Store a symbol with the best facts there are, or apply what was said of a stored one.

    With `rejudge` stored series that a new venue or a missing volume contradicts are doubted and
    fetched again. Raises BadRequest, UnknownVenue, and Contradicted.
    """
    check_symbols([symbol])
    word = _checked(word)
    with transaction.atomic():
        row = instruments.find_instrument(symbol, lock=True)
        before = row.facts if row else _presumed(symbol, venue=word.listing.venue)
        after = completed(told(_heard(before, stated), word), venue=DEFAULT_VENUE)
        _check(symbol, after, stated=stated)
        if row is None:
            row = instruments.make_instrument(symbol, after)
            if row is None:
                raise Contradicted(
                    f"{symbol} was made known by somebody else just now; look with"
                    f" `mdc symbols show {symbol}` and say again what differs",
                    symbol=symbol,
                    rejudge=False,
                )
            created, rejudged = True, 0
        else:
            created, rejudged = False, _change(row, after, rejudge=rejudge, actor=actor)
        _name(row, stated, actor=actor)
        if created or before != after:
            audit.record(
                actor=actor,
                action="instrument.add" if created else "instrument.change",
                object_type="instrument",
                object_id=symbol,
                before=None if created else before.as_dict(),
                after=after.as_dict(),
                reason=reason,
            )
    return Added(
        symbol=symbol,
        facts=after,
        created=created,
        changed=created or before != after,
        rejudged=rejudged,
    )


def known_instrument(symbol: str, *, actor: Actor) -> InstrumentRow | None:
    """Return a stored instrument with its row locked, storing it first if the reference knows it.

    The caller's transaction. None where nobody knows the symbol.
    """
    row = instruments.find_instrument(symbol, lock=True)
    known = find_symbol(symbol)
    if row is not None or known is None or known.symbol != symbol:
        return row
    add_symbol(symbol, word=UserWord(), actor=actor, reason="known from the reference")
    return instruments.find_instrument(symbol, lock=True)


def _presumed(symbol: str, *, venue: str) -> Facts:
    """Return what is known of a symbol that is not stored, at the venue given if there is one."""
    _check_canonical(symbol)
    known = find_symbol(symbol)
    if known is None:
        guess = read_contract_symbol(symbol) or read_yahoo_symbol(symbol)
        facts = Facts(guess or Listing(), facts_from="guess")
    else:
        facts = Facts(known.listing, facts_from="reference", underlying=known.underlying)
    theirs = facts.listing.venue
    if venue and theirs and not _same_hours(sessions_for(venue), sessions_for(theirs)):
        # Where it trades at other hours, it is something else of the same name.
        return Facts(Listing(), facts_from="guess")
    return facts


def _check_canonical(symbol: str) -> None:
    """Refuse another spelling of what the reference knows, which would be stored twice."""
    known = find_symbol(symbol)
    if known is None:
        named = [(one, find_vendor_symbol(one, symbol)) for one in VENDORS]
        for provider, other in named:
            if other is not None:
                raise BadRequest(
                    f"{symbol} is {provider}'s name of {other.symbol}; add {other.symbol}, which"
                    f" {provider} is asked for by that name",
                    field="symbol",
                )
        contract = read_contract(symbol)
        if contract and contract.year is None and read_contract_symbol(symbol):
            years = " or ".join(one.symbol for one in contract.decades())
            raise BadRequest(
                f"{symbol} may be one of several contracts; write {years}", field="symbol"
            )
    elif known.symbol != symbol:
        raise BadRequest(
            f"{symbol} is another way to write {known.symbol}; add that", field="symbol"
        )


def _heard(facts: Facts, stated: Stated | None) -> Facts:
    """Hear a provider, and where it says nothing what its spelling says."""
    if stated is None:
        return facts
    listing = stated.listing
    listing = replace(
        listing,
        name=storable_text(listing.name)[: _LONGEST["name"]],
        currency=storable_text(listing.currency)[: _LONGEST["currency"]],
    )
    facts = heard(facts, listing, by="provider")
    guess = get_adapter(stated.provider).guess_listing(stated.vendor_symbol)
    return heard(facts, guess, by="guess") if guess else facts


def _checked(word: UserWord) -> UserWord:
    listing = word.listing
    said = {"name": listing.name, "currency": listing.currency, "underlying": word.underlying or ""}
    for name, longest in _LONGEST.items():
        if len(said[name]) > longest or not said[name].isprintable():
            raise BadRequest(f"a {name} has at most {longest} printable characters", field=name)
    return word


def _check(symbol: str, facts: Facts, *, stated: Stated | None) -> None:
    listing = facts.listing
    try:
        sessions_for(listing.venue)
    except UnknownVenue:
        if stated is None or stated.listing.venue != listing.venue:
            raise
        raise BadRequest(
            f"{stated.provider} says that {symbol} trades at {listing.venue}, of which no calendar"
            " is known; say --venue with an exchange that keeps the same hours",
            field="venue",
        ) from None
    first, end = listing.listed_from, listing.delisted_on
    if first is not None and end is not None and first >= end:
        raise BadRequest(
            f"{symbol} cannot be listed from {first} and gone by {end}; give another date,"
            " or `none` for the one that is not known",
            field="listed_from",
        )
    if facts.underlying and listing.asset_class is not AssetClass.FUTURE:
        raise BadRequest(
            "only a futures contract has an underlying; add --asset-class future",
            field="underlying",
        )


def _change(row: InstrumentRow, after: Facts, *, rejudge: bool, actor: Actor) -> int:
    """Write changed facts and return how many stored series they put in doubt."""
    if row.facts == after:
        return 0
    extent = instruments.stored_extent(row.id)
    _check_dates(row.symbol, after.listing, extent)
    problem = _judged_otherwise(row, after, extent) if extent.loaded else ""
    if problem and not rejudge:
        raise Contradicted(
            f"{problem}; say --rejudge as well, and the next `mdc update --symbols {row.symbol}`"
            " fetches them again and reports what differs",
            symbol=row.symbol,
            rejudge=True,
        )
    instruments.change_instrument(row.id, after)
    if extent.series_ids:
        ensure_venue_sessions(sessions_for(after.listing.venue))
    if not problem:
        return 0
    return reset_state(series_ids=extent.series_ids, actor=actor, reason=problem)


def _judged_otherwise(row: InstrumentRow, after: Facts, extent: StoredExtent) -> str:
    old, new = row.facts.listing, after.listing
    if old.venue != new.venue and not _same_hours(sessions_for(old.venue), sessions_for(new.venue)):
        return (
            f"stored series of {row.symbol} were judged by the sessions of {old.venue}, which"
            f" {new.venue} does not share"
        )
    if old.has_volume and not new.has_volume and instruments.holds_volume(extent.series_ids):
        return f"stored bars of {row.symbol} have a volume"
    return ""


def _same_hours(one: Sessions, other: Sessions) -> bool:
    columns = (
        "labels",
        "opens",
        "closes",
        "break_starts",
        "break_ends",
        "halt_starts",
        "halt_ends",
    )
    return one.tz == other.tz and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in columns
    )


def _check_dates(symbol: str, listing: Listing, extent: StoredExtent) -> None:
    """Refuse dates outside of which bars are stored: those bars would be nobody's."""
    for span, slack in ((extent.dated, timedelta(0)), (extent.timed, _STAMP_SLACK)):
        if span is None:
            continue
        first, last = _dates(span)
        if listing.listed_from is not None and first < listing.listed_from - slack:
            raise Contradicted(
                f"bars of {symbol} are stored from {first} on, before {listing.listed_from};"
                f" give a date that is not after {first}",
                symbol=symbol,
                rejudge=False,
            )
        if listing.delisted_on is not None and last >= listing.delisted_on + slack:
            raise Contradicted(
                f"bars of {symbol} are stored until {last}, not before {listing.delisted_on};"
                f" give a date after {last}",
                symbol=symbol,
                rejudge=False,
            )


def _dates(span: tuple[datetime, datetime]) -> tuple[date, date]:
    return span[0].date(), span[1].date()


def _name(row: InstrumentRow, stated: Stated | None, *, actor: Actor) -> None:
    """Remember the name under which a provider spoke of the instrument, unless it has one."""
    if stated is None or any(
        name.provider == stated.provider for name in instruments.names_of(row.id)
    ):
        return
    roll_rule = stated.listing.roll_rule
    name = NameRow(stated.provider, stated.vendor_symbol, None, None, roll_rule)
    try:
        instruments.add_name(row.id, name)
    except NameTaken as taken:
        raise BadRequest(
            f"{stated.vendor_symbol} is {stated.provider}'s name of {taken.symbol};"
            f" `mdc symbols show {taken.symbol}` says since when",
            field="from",
        ) from taken
    audit.record(
        actor=actor,
        action="instrument.map",
        object_type="instrument",
        object_id=row.symbol,
        after={"provider": stated.provider, "vendor_symbol": stated.vendor_symbol},
    )
