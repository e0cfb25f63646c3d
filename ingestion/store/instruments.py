"""Read and write instruments and how providers call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from django.db import IntegrityError, connection, transaction
from psycopg.types.range import Range

from ingestion.domain.listing_facts import Facts
from ingestion.models import Instrument, ProviderSymbol
from providers.instruments import AssetClass, Listing


@dataclass(frozen=True, slots=True)
class InstrumentRow:
    """Hold one stored instrument."""

    id: int
    symbol: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class NameRow:
    """Say how a provider calls an instrument on the dates [valid_from, valid_until)."""

    provider: str
    vendor_symbol: str
    valid_from: date | None
    valid_until: date | None
    roll_rule: str

    @property
    def dates(self) -> str:
        """Spell the dates on which the name holds."""
        match self.valid_from, self.valid_until:
            case None, None:
                return "always"
            case first, None:
                return f"from {first}"
            case None, end:
                return f"before {end}"
            case first, end:
                return f"from {first}, before {end}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for the audit ledger."""
        return {
            "vendor_symbol": self.vendor_symbol,
            "from": self.valid_from.isoformat() if self.valid_from else None,
            "until": self.valid_until.isoformat() if self.valid_until else None,
            "roll_rule": self.roll_rule,
        }


@dataclass(frozen=True, slots=True)
class StoredExtent:
    """Hold what the stored bars of an instrument reach over; None where there are none.

    `dated` are stamps of daily and longer bars, `timed` of shorter ones.
    """

    series_ids: tuple[int, ...]
    dated: tuple[datetime, datetime] | None
    timed: tuple[datetime, datetime] | None
    loaded: bool


class NameTaken(Exception):
    """Signal that a provider's name means another instrument on some of the dates."""

    def __init__(self, symbol: str, name: NameRow) -> None:
        super().__init__(f"{name.provider}:{name.vendor_symbol} is {symbol}")
        self.symbol = symbol
        self.name = name


def find_instrument(symbol: str, *, lock: bool = False) -> InstrumentRow | None:
    """Return a stored instrument, its row locked until the transaction ends if asked."""
    found = Instrument.objects.filter(symbol=symbol)
    if lock:
        found = found.select_for_update(no_key=True)
    one = found.first()
    return _row(one) if one else None


def search_instruments(text: str, *, limit: int) -> list[InstrumentRow]:
    """Find stored instruments by symbol, name or a provider's name of them, nearest first."""
    wanted = " ".join(text.lower().split())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM (SELECT i.id, i.symbol,"
            "   CASE WHEN lower(i.symbol) = %(text)s THEN 0"
            "        WHEN %(text)s = ANY(n.names) THEN 1"
            "        WHEN starts_with(lower(i.symbol), %(text)s) THEN 2"
            "        WHEN strpos(lower(i.name), %(text)s) > 0 THEN 3"
            "        WHEN strpos(lower(i.symbol), %(text)s) > 0"
            "          OR strpos(array_to_string(n.names, ' '), %(text)s) > 0 THEN 4 END AS rank"
            " FROM instrument i, LATERAL (SELECT coalesce(array_agg(lower(p.vendor_symbol)), '{}')"
            "   AS names FROM provider_symbol p WHERE p.instrument_id = i.id) n) ranked"
            ' WHERE rank IS NOT NULL ORDER BY rank, symbol COLLATE "C" LIMIT %(limit)s',
            {"text": wanted, "limit": limit},
        )
        ids = [number for (number,) in cursor.fetchall()]
    found = Instrument.objects.in_bulk(ids)
    return [_row(found[number]) for number in ids]


def make_instrument(symbol: str, facts: Facts) -> InstrumentRow | None:
    """Store a new instrument; None where it was stored meanwhile. `facts` are complete."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO instrument (symbol, name, asset_class, venue, currency, has_volume,"
            " listed_from, delisted_on, underlying, facts_from)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id",
            [symbol, *_values(facts)],
        )
        row = cursor.fetchone()
    return InstrumentRow(row[0], symbol, facts) if row else None


def change_instrument(instrument_id: int, facts: Facts) -> None:
    """Replace the facts of an instrument, whose row is locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE instrument SET name = %s, asset_class = %s, venue = %s, currency = %s,"
            " has_volume = %s, listed_from = %s, delisted_on = %s, underlying = %s,"
            " facts_from = %s WHERE id = %s",
            [*_values(facts), instrument_id],
        )


def names_of(instrument_id: int) -> tuple[NameRow, ...]:
    """Return what providers call an instrument, by provider and time."""
    found = ProviderSymbol.objects.filter(instrument_id=instrument_id).order_by("provider", "valid")
    return tuple(_name(one) for one in found)


def add_name(instrument_id: int, name: NameRow) -> None:
    """Let a provider's name mean the instrument on its dates, and no other name of it then.

    The instrument's row must be locked. Raises NameTaken where it means another one.
    """
    others = ProviderSymbol.objects.filter(instrument_id=instrument_id, provider=name.provider)
    span = Range(name.valid_from, name.valid_until, "[)")
    for other in others.filter(valid__overlap=span).order_by("id"):
        _cut(other, span)
    try:
        with transaction.atomic():
            ProviderSymbol.objects.create(
                instrument_id=instrument_id,
                provider=name.provider,
                vendor_symbol=name.vendor_symbol,
                valid=span,
                roll_rule=name.roll_rule,
            )
    except IntegrityError as error:
        if not isinstance(error.__cause__, psycopg.errors.ExclusionViolation):
            raise
        raise _taken(name, span) from error


def remove_names(
    instrument_id: int, *, provider: str, vendor_symbol: str | None
) -> tuple[NameRow, ...]:
    """Forget what a provider calls an instrument; return what was forgotten."""
    found = ProviderSymbol.objects.filter(instrument_id=instrument_id, provider=provider)
    if vendor_symbol is not None:
        found = found.filter(vendor_symbol=vendor_symbol)
    gone = tuple(_name(one) for one in found.order_by("valid"))
    found.delete()
    return gone


def names_as_dict(names: Sequence[NameRow], *, provider: str) -> dict[str, Any]:
    """Return one provider's names for the audit ledger."""
    return {
        "provider": provider,
        "names": [one.as_dict() for one in names if one.provider == provider],
    }


def stored_extent(instrument_id: int) -> StoredExtent:
    """Return what is stored of an instrument, over all of its series."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.id, s.timeframe IN ('1d', '1w', '1mo'),"
            " (SELECT b.ts FROM bar b WHERE b.series_id = s.id ORDER BY b.ts LIMIT 1),"
            " (SELECT b.ts FROM bar b WHERE b.series_id = s.id ORDER BY b.ts DESC LIMIT 1),"
            " EXISTS (SELECT 1 FROM coverage c WHERE c.series_id = s.id"
            "   AND NOT (isempty(c.loaded) AND isempty(c.doubted)))"
            " FROM series s WHERE s.instrument_id = %s ORDER BY s.id",
            [instrument_id],
        )
        rows = cursor.fetchall()
    return StoredExtent(
        series_ids=tuple(row[0] for row in rows),
        dated=_span([row[2:4] for row in rows if row[1] and row[2]]),
        timed=_span([row[2:4] for row in rows if not row[1] and row[2]]),
        loaded=any(row[4] or row[2] is not None for row in rows),
    )


def count_loaded(instrument_id: int, *, provider: str) -> int:
    """Count the series of an instrument of which a provider has brought something."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM series s JOIN coverage c ON c.series_id = s.id"
            " WHERE s.instrument_id = %s AND s.provider = %s AND NOT isempty(c.loaded)",
            [instrument_id, provider],
        )
        (found,) = cursor.fetchone()
    return int(found)


def holds_volume(series_ids: Sequence[int]) -> bool:
    """Tell whether any stored bar of these series has a volume."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM bar WHERE series_id = ANY(%s) AND volume IS NOT NULL)",
            [list(series_ids)],
        )
        (found,) = cursor.fetchone()
    return bool(found)


def _cut(name: ProviderSymbol, span: Range[date]) -> None:
    """Take the dates of `span` out of a name's own, which leaves it in none, one or two pieces."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH cut AS (DELETE FROM provider_symbol WHERE id = %s RETURNING *)"
            " INSERT INTO provider_symbol"
            "   (provider, vendor_symbol, instrument_id, valid, roll_rule)"
            " SELECT provider, vendor_symbol, instrument_id,"
            "   unnest(datemultirange(valid) - datemultirange(daterange(%s, %s))), roll_rule"
            " FROM cut",
            [name.pk, span.lower, span.upper],
        )


def _taken(name: NameRow, span: Range[date]) -> NameTaken:
    other = (
        ProviderSymbol.objects.filter(
            provider=name.provider, vendor_symbol=name.vendor_symbol, valid__overlap=span
        )
        .select_related("instrument")
        .order_by("valid")
        .first()
    )
    return NameTaken(other.instrument.symbol, _name(other)) if other else NameTaken("", name)


def _row(one: Instrument) -> InstrumentRow:
    return InstrumentRow(
        id=one.pk,
        symbol=one.symbol,
        facts=Facts(
            listing=Listing(
                name=one.name,
                asset_class=AssetClass(one.asset_class),
                venue=one.venue,
                currency=one.currency,
                has_volume=one.has_volume,
                listed_from=one.listed_from,
                delisted_on=one.delisted_on,
            ),
            facts_from=one.facts_from,
            underlying=one.underlying,
        ),
    )


def _name(one: ProviderSymbol) -> NameRow:
    return NameRow(
        provider=one.provider,
        vendor_symbol=one.vendor_symbol,
        valid_from=one.valid.lower,
        valid_until=one.valid.upper,
        roll_rule=one.roll_rule,
    )


def _values(facts: Facts) -> list[Any]:
    listing = facts.listing
    assert listing.asset_class is not None
    return [
        listing.name,
        listing.asset_class.value,
        listing.venue,
        listing.currency,
        listing.has_volume,
        listing.listed_from,
        listing.delisted_on,
        facts.underlying,
        facts.facts_from,
    ]


def _span(rows: Sequence[Sequence[datetime]]) -> tuple[datetime, datetime] | None:
    if not rows:
        return None
    return min(first for first, _ in rows), max(last for _, last in rows)
