"""Find or create instruments, accounts and series; read what a fetch must know of a series."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from django.db import connection
from psycopg.types.range import Range

from ingestion.models import Account, Instrument, ProviderSymbol, Series
from ingestion.store import budgets
from providers.base import Capabilities
from providers.types import Adjustment, Anchor, BarQuery, Hours, Timeframe

DEFAULT_VENUE = "XNYS"


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """Hold the identity of a series as a fetch needs it."""

    series_id: int
    provider: str
    symbol: str
    vendor_symbol: str
    venue: str
    timeframe: Timeframe
    adjustment: Adjustment
    hours: Hours
    anchor: Anchor
    listed_from: datetime | None

    def query(self, start: datetime, end: datetime) -> BarQuery:
        """Ask for one window of this series."""
        return BarQuery(
            symbol=self.symbol,
            vendor_symbol=self.vendor_symbol,
            venue=self.venue,
            timeframe=self.timeframe,
            adjustment=self.adjustment,
            hours=self.hours,
            anchor=self.anchor,
            start=start,
            end=end,
        )


@dataclass(frozen=True, slots=True)
class InstrumentFacts:
    """Hold what planning must know of an instrument before any series exists.

    `known_as` is a known symbol that is probably meant: it differs from the asked one in case
    alone, or the provider calls it by the asked one's name; else empty.
    """

    symbol: str
    vendor_symbol: str
    venue: str
    listed_from: datetime | None
    known_as: str


def instrument_facts(symbol: str, *, provider: str, venue: str | None) -> InstrumentFacts:
    """Look an instrument up without creating it; unknown ones get the default venue."""
    instrument = Instrument.objects.filter(symbol=symbol).first()
    alias = (
        ProviderSymbol.objects.filter(provider=provider, instrument=instrument)
        .order_by("-valid")
        .first()
        if instrument
        else None
    )
    return InstrumentFacts(
        symbol=symbol,
        vendor_symbol=alias.vendor_symbol if alias else symbol,
        venue=instrument.venue if instrument else (venue or DEFAULT_VENUE).upper(),
        listed_from=_midnight(instrument.listed_from) if instrument else None,
        known_as=_probably_meant(symbol, provider=provider, known=instrument) if not alias else "",
    )


def _probably_meant(symbol: str, *, provider: str, known: Instrument | None) -> str:
    named = ProviderSymbol.objects.filter(provider=provider, vendor_symbol=symbol)
    other = named.values_list("instrument__symbol", flat=True).first()
    if other or known:
        return other or ""
    found = Instrument.objects.filter(symbol__iexact=symbol).values_list("symbol", flat=True)
    return found.first() or ""


def ensure_series(
    facts: InstrumentFacts,
    *,
    provider: str,
    timeframe: Timeframe,
    adjustment: Adjustment,
    hours: Hours,
    anchor: Anchor,
) -> int:
    """Return the id of a series, creating it, its instrument and its symbol map if need be."""
    instrument, _ = Instrument.objects.get_or_create(
        symbol=facts.symbol, defaults={"venue": facts.venue}
    )
    named = ProviderSymbol.objects.filter(provider=provider, instrument=instrument)
    # Of two that name it at once, the second waits for the row and finds the first one's name.
    if not named.exists() and _lock(instrument) and not named.exists():
        ProviderSymbol.objects.create(
            provider=provider,
            vendor_symbol=facts.vendor_symbol,
            instrument=instrument,
            valid=Range(None, None, "[)"),
        )
    series, _ = Series.objects.get_or_create(
        provider=provider,
        instrument=instrument,
        event_type="bar",
        timeframe=timeframe.value,
        adjustment=adjustment.value,
        hours=hours.value,
        anchor=anchor.value,
    )
    return series.id


def _lock(instrument: Instrument) -> bool:
    return bool(Instrument.objects.select_for_update(no_key=True).get(id=instrument.id))


def find_series(
    symbol: str,
    *,
    provider: str,
    timeframe: Timeframe,
    adjustment: Adjustment,
    hours: Hours,
    anchor: Anchor,
) -> int | None:
    """Return the id of a series, or None where there is none."""
    return (
        Series.objects.filter(
            provider=provider,
            instrument__symbol=symbol,
            event_type="bar",
            timeframe=timeframe.value,
            adjustment=adjustment.value,
            hours=hours.value,
            anchor=anchor.value,
        )
        .values_list("id", flat=True)
        .first()
    )


def ensure_account(provider: str, *, capabilities: Capabilities, egress: str) -> int:
    """Return the id of the provider's default account, creating it with its declared limits."""
    account, created = Account.objects.get_or_create(
        provider=provider,
        name="default",
        egress=egress,
        defaults={"max_in_flight": capabilities.max_in_flight},
    )
    if created:
        budgets.add_limits(capabilities.rate_limits, account_id=account.id, job_id=None)
    return account.id


def load_facts(series_ids: Iterable[int]) -> dict[int, SeriesFacts]:
    """Read the identity of series in one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.id, s.provider, i.symbol, coalesce(("
            "   SELECT p.vendor_symbol FROM provider_symbol p WHERE p.provider = s.provider"
            "   AND p.instrument_id = i.id ORDER BY p.valid DESC LIMIT 1), i.symbol),"
            " i.venue, s.timeframe, s.adjustment, s.hours, s.anchor, i.listed_from"
            " FROM series s JOIN instrument i ON i.id = s.instrument_id WHERE s.id = ANY(%s)",
            [sorted(set(series_ids))],
        )
        return {row[0]: _facts(row) for row in cursor.fetchall()}


def _facts(row: tuple[Any, ...]) -> SeriesFacts:
    return SeriesFacts(
        series_id=row[0],
        provider=row[1],
        symbol=row[2],
        vendor_symbol=row[3],
        venue=row[4],
        timeframe=Timeframe(row[5]),
        adjustment=Adjustment(row[6]),
        hours=Hours(row[7]),
        anchor=Anchor(row[8]),
        listed_from=_midnight(row[9]),
    )


@functools.lru_cache(maxsize=4096)
def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time.min, tzinfo=UTC) if day else None
