"""Whose word counts about an instrument: the user's, then the provider's, the reference's, a guess.

An instrument remembers one source, the best that has spoken of it. What a source of the same or a
better rank states replaces what is there; a lesser one only fills what nobody has stated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from providers.instruments import AssetClass, Listing

SOURCES: Final = ("guess", "reference", "provider", "user")
_MERGED: Final = tuple(one.name for one in fields(Listing) if one.name != "roll_rule")


@dataclass(frozen=True, slots=True)
class Facts:
    """Hold what is known of an instrument, and who stated it."""

    listing: Listing
    facts_from: str
    underlying: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for the audit ledger."""
        listing = self.listing
        return {
            "name": listing.name,
            "asset_class": listing.asset_class.value if listing.asset_class else None,
            "venue": listing.venue,
            "currency": listing.currency,
            "has_volume": listing.has_volume,
            "listed_from": listing.listed_from.isoformat() if listing.listed_from else None,
            "delisted_on": listing.delisted_on.isoformat() if listing.delisted_on else None,
            "underlying": self.underlying,
            "facts_from": self.facts_from,
        }


@dataclass(frozen=True, slots=True)
class UserWord:
    """Hold what a person states: empty parts of the listing are not spoken of.

    `forget` names the dates that are to be unknown again, whoever stated them.
    """

    listing: Listing = field(default_factory=Listing)
    underlying: str | None = None
    forget: frozenset[str] = frozenset()

    def says_anything(self) -> bool:
        """Tell whether there is anything to apply."""
        return bool(_stated(self.listing) or self.underlying is not None or self.forget)


def heard(facts: Facts, said: Listing, *, by: str) -> Facts:
    """Return the facts after a source has spoken."""
    stated = _stated(said)
    if SOURCES.index(by) < SOURCES.index(facts.facts_from):
        held = _stated(facts.listing)
        return replace(facts, listing=replace(facts.listing, **_without(stated, held)))
    return replace(facts, listing=replace(facts.listing, **stated), facts_from=by)


def told(facts: Facts, word: UserWord) -> Facts:
    """Return the facts after a person has spoken; nothing said changes nothing."""
    if not word.says_anything():
        return facts
    facts = heard(facts, word.listing, by="user")
    forgotten: dict[str, Any] = dict.fromkeys(word.forget)
    return replace(
        facts,
        listing=replace(facts.listing, **forgotten),
        underlying=facts.underlying if word.underlying is None else word.underlying,
        facts_from="user",
    )


def completed(facts: Facts, *, venue: str) -> Facts:
    """Return the facts with what no stored instrument lacks, as usual for shares."""
    listing = facts.listing
    return replace(
        facts,
        listing=replace(
            listing,
            asset_class=listing.asset_class or AssetClass.EQUITY,
            venue=listing.venue or venue,
            currency=listing.currency or "USD",
            has_volume=listing.has_volume is not False,
        ),
    )


def _stated(listing: Listing) -> dict[str, Any]:
    values = {name: getattr(listing, name) for name in _MERGED}
    return {name: value for name, value in values.items() if value is not None and value != ""}


def _without(stated: Mapping[str, Any], held: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stated.items() if name not in held}
