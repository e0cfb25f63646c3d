"""Say everything that is known of one symbol."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from ingestion.calendars import sessions_for
from ingestion.domain.errors import BadRequest
from ingestion.domain.listing_facts import Facts
from ingestion.domain.windows import from_us, to_us
from ingestion.services.show_state import SeriesState, show_state
from ingestion.store import instruments, series_reads
from ingestion.store.instruments import NameRow
from providers.reference import KnownSymbol, find_symbol
from providers.sessions import NO_BREAK, Sessions


@dataclass(frozen=True, slots=True)
class NextSession:
    """Hold the session that runs or comes next; `pause` is its break, if it has one."""

    date: date
    opens: datetime
    closes: datetime
    pause: tuple[datetime, datetime] | None


@dataclass(frozen=True, slots=True)
class SymbolDescription:
    """Hold what is known of a symbol.

    `names` are mapped and stored, `spellings` the reference's for providers without a mapped name.
    `next_session` is None after the instrument's last one, and where the calendar ends.
    """

    symbol: str
    stored: bool
    facts: Facts
    timezone: str
    names: tuple[NameRow, ...]
    spellings: tuple[NameRow, ...]
    next_session: NextSession | None
    series: tuple[SeriesState, ...]


def show_symbol(symbol: str, *, now: datetime) -> SymbolDescription:
    """Describe a stored symbol, or one that only the reference knows; raises BadRequest."""
    row, known = instruments.find_instrument(symbol), find_symbol(symbol)
    if row is None and known is None:
        raise unknown_symbol(symbol)
    if row is not None:
        facts, names = row.facts, instruments.names_of(row.id)
    else:
        assert known is not None
        facts, names, symbol = _facts(known), (), known.symbol
    sessions = sessions_for(facts.listing.venue)
    # A user may mean another instrument by this symbol than the reference does.
    same = known is not None and known.listing.venue == facts.listing.venue
    return SymbolDescription(
        symbol=symbol,
        stored=row is not None,
        facts=facts,
        timezone=sessions.tz,
        names=names,
        spellings=_spellings(known, names) if known and same else (),
        next_session=_next_session(sessions, facts.listing.delisted_on, now=now),
        series=_series(symbol, now=now) if row else (),
    )


def unknown_symbol(symbol: str) -> BadRequest:
    """Return what to say of a symbol of which nothing is known."""
    return BadRequest(
        f"nothing is known of {symbol}; `mdc symbols search {symbol}` looks for it by name and"
        f" spelling, `mdc symbols add {symbol} --venue MIC` makes it known",
        field="symbol",
    )


def _facts(known: KnownSymbol) -> Facts:
    return Facts(known.listing, facts_from="reference", underlying=known.underlying)


def _spellings(known: KnownSymbol, names: tuple[NameRow, ...]) -> tuple[NameRow, ...]:
    mapped = {name.provider for name in names}
    return tuple(
        NameRow(provider, spelling, None, None, known.roll_rule_at(provider))
        for provider, spelling in sorted(known.vendors.items())
        if provider not in mapped
    )


def _series(symbol: str, *, now: datetime) -> tuple[SeriesState, ...]:
    if not series_reads.select_series(symbols=[symbol]):
        return ()
    return show_state(symbols=[symbol], now=now, count_bars=True)


def _next_session(
    sessions: Sessions, delisted_on: date | None, *, now: datetime
) -> NextSession | None:
    place = int(np.searchsorted(sessions.closes, to_us(now), side="right"))
    if place >= len(sessions):
        return None
    day = datetime.fromtimestamp(int(sessions.labels[place]) // 1_000_000, tz=UTC).date()
    if delisted_on is not None and day >= delisted_on:
        return None
    pause, resume = int(sessions.break_starts[place]), int(sessions.break_ends[place])
    return NextSession(
        date=day,
        opens=from_us(int(sessions.opens[place])),
        closes=from_us(int(sessions.closes[place])),
        pause=None if pause == NO_BREAK else (from_us(pause), from_us(resume)),
    )
