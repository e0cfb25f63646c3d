"""Say how a provider calls an instrument, and on which dates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.domain.symbols import LONGEST_SYMBOL
from ingestion.services.add_symbol import known_instrument
from ingestion.services.show_symbol import unknown_symbol
from ingestion.store import audit, instruments
from ingestion.store.instruments import NameRow, NameTaken, names_as_dict
from providers.instruments import AssetClass
from providers.reference import find_vendor_symbol
from providers.registry import get_adapter

_LONGEST_RULE = 200


@dataclass(frozen=True, slots=True)
class Mapped:
    """Hold a symbol's names at a provider; `outdated` series were fetched under other ones."""

    names: tuple[NameRow, ...]
    outdated: int


def map_symbol(
    symbol: str,
    *,
    provider: str,
    vendor_symbol: str,
    valid_from: date | None = None,
    valid_until: date | None = None,
    roll_rule: str = "",
    actor: Actor,
    reason: str = "",
) -> Mapped:
    """Let the provider's name mean the symbol on [valid_from, valid_until).

    Earlier names of the symbol at this provider give way on these dates. Raises BadRequest, also
    where the name means another instrument then, and UnknownProvider.
    """
    name = NameRow(
        provider=get_adapter(provider).name,
        vendor_symbol=_checked(vendor_symbol),
        valid_from=valid_from,
        valid_until=valid_until,
        roll_rule=roll_rule,
    )
    _check_dates(name)
    with transaction.atomic():
        row = known_instrument(symbol, actor=actor)
        if row is None:
            raise unknown_symbol(symbol)
        name = _with_rule(symbol, name, asset_class=row.facts.listing.asset_class)
        before = instruments.names_of(row.id)
        try:
            instruments.add_name(row.id, name)
        except NameTaken as taken:
            raise _refusal(name, taken) from taken
        after = instruments.names_of(row.id)
        outdated = 0
        if before != after:
            outdated = instruments.count_loaded(row.id, provider=name.provider)
            audit.record(
                actor=actor,
                action="instrument.map",
                object_type="instrument",
                object_id=symbol,
                before=names_as_dict(before, provider=name.provider),
                after=names_as_dict(after, provider=name.provider),
                reason=reason,
            )
    return Mapped(
        names=tuple(one for one in after if one.provider == name.provider), outdated=outdated
    )


def _checked(vendor_symbol: str) -> str:
    if not vendor_symbol.strip() or vendor_symbol != vendor_symbol.strip():
        raise BadRequest("a name has no spaces around it and is not empty", field="vendor_symbol")
    if len(vendor_symbol) > LONGEST_SYMBOL or not vendor_symbol.isprintable():
        raise BadRequest(
            f"a name has at most {LONGEST_SYMBOL} printable characters", field="vendor_symbol"
        )
    return vendor_symbol


def _check_dates(name: NameRow) -> None:
    first, end = name.valid_from, name.valid_until
    if first is not None and end is not None and first >= end:
        raise BadRequest(
            f"a name cannot hold from {first} and end by {end}; swap the dates", field="until"
        )


def _with_rule(symbol: str, name: NameRow, *, asset_class: AssetClass | None) -> NameRow:
    """Check the roll rule, or take the reference's for the name it knows."""
    if not name.roll_rule:
        known = find_vendor_symbol(name.provider, name.vendor_symbol)
        continuous = known is not None and asset_class is AssetClass.CONTINUOUS
        rule = known.roll_rule_at(name.provider) if known and continuous else ""
        return replace(name, roll_rule=rule)
    if asset_class is not AssetClass.CONTINUOUS:
        raise BadRequest(
            f"{symbol} is no continuous future, so that nothing of it is rolled; leave --roll-rule"
            f" out, or say `mdc symbols add {symbol} --asset-class continuous` first",
            field="roll_rule",
        )
    if len(name.roll_rule) > _LONGEST_RULE or not name.roll_rule.isprintable():
        raise BadRequest(
            f"a roll rule has at most {_LONGEST_RULE} printable characters", field="roll_rule"
        )
    return name


def _refusal(name: NameRow, taken: NameTaken) -> BadRequest:
    other = taken.name
    return BadRequest(
        f"{name.provider}'s {name.vendor_symbol} means {taken.symbol} ({other.dates}); give"
        " dates that do not overlap with --from and --until, or forget that name with"
        f" `mdc symbols unmap {taken.symbol} {name.provider} {name.vendor_symbol}`",
        field="vendor_symbol",
    )
