"""Find or create instruments, accounts and series; read what a fetch must know of a series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import to_us
from ingestion.models import Account
from ingestion.store import budgets
from ingestion.store.instrument_facts import Alias, InstrumentFacts, midnight, name_at
from providers.base import Capabilities
from providers.instruments import AssetClass
from providers.types import Adjustment, Anchor, BarQuery, Hours, Timeframe

_EARLIEST: Final = datetime(1, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """Hold the identity of a series as a fetch needs it.

    `aliases` are the provider's names for the instrument, ascending in time. Without `has_volume`
    whatever a provider sends as volume is noise. Prices of futures `may_be_negative`.
    """

    series_id: int
    provider: str
    symbol: str
    aliases: tuple[Alias, ...]
    venue: str
    timeframe: Timeframe
    adjustment: Adjustment
    hours: Hours
    anchor: Anchor
    listed_from: datetime | None
    has_volume: bool = True
    may_be_negative: bool = False
    delisted_on: datetime | None = None

    @property
    def labels(self) -> Ranges:
        """Return the session dates on which anything is expected, in µs: named and not gone."""
        gone = _LATEST if self.delisted_on is None else self.delisted_on
        spans = ((one.start or _EARLIEST, min(one.end or gone, gone)) for one in self.aliases)
        return Ranges.of((to_us(start), to_us(end)) for start, end in spans if start < end)

    def query(self, start: datetime, end: datetime) -> BarQuery:
        """Ask for one window of this series, by the name that held when it begins."""
        return BarQuery(
            symbol=self.symbol,
            vendor_symbol=name_at(self.aliases, start),
            venue=self.venue,
            timeframe=self.timeframe,
            adjustment=self.adjustment,
            hours=self.hours,
            anchor=self.anchor,
            start=start,
            end=end,
        )


@dataclass(frozen=True, slots=True)
class SeriesName:
    """Identify a series of one provider by what makes it one."""

    symbol: str
    timeframe: Timeframe
    adjustment: Adjustment
    hours: Hours
    anchor: Anchor

    @property
    def sort_key(self) -> tuple[str, ...]:
        """Return the one order in which series are made."""
        return (self.symbol, *self.texts)

    @property
    def texts(self) -> tuple[str, str, str, str]:
        """Return the parts beside the symbol as they are stored."""
        return self.timeframe.value, self.adjustment.value, self.hours.value, self.anchor.value


# Instruments, their names and their series are made in one order everywhere, so that of two
# transactions that make the same ones the second waits for the first and neither for the other.
_MAKE_INSTRUMENTS = """
INSERT INTO instrument (symbol, name, asset_class, underlying, venue, currency, has_volume,
                        listed_from, delisted_on, facts_from)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
                     %s::bool[], %s::date[], %s::date[], %s::text[]) AS g(symbol)
ORDER BY g.symbol COLLATE "C"
ON CONFLICT DO NOTHING
"""

_LOCK_NAMELESS = """
SELECT i.symbol FROM instrument i
WHERE i.symbol = ANY(%(symbols)s) AND NOT EXISTS (
    SELECT 1 FROM provider_symbol p WHERE p.provider = %(provider)s AND p.instrument_id = i.id)
ORDER BY i.symbol COLLATE "C" FOR NO KEY UPDATE OF i
"""

# Of two that name an instrument at once, the second has waited for its row and finds the first
# one's name. Where the name belonged to another instrument once, it is this one's from then on.
_NAME = """
INSERT INTO provider_symbol (provider, vendor_symbol, instrument_id, valid, roll_rule)
SELECT %(provider)s, g.vendor_symbol, i.id,
       daterange((SELECT max(upper(o.valid)) FROM provider_symbol o
                  WHERE o.provider = %(provider)s AND o.vendor_symbol = g.vendor_symbol), NULL),
       g.roll_rule
FROM unnest(%(symbols)s::text[], %(vendor_symbols)s::text[], %(roll_rules)s::text[])
     AS g(symbol, vendor_symbol, roll_rule)
JOIN instrument i ON i.symbol = g.symbol
WHERE NOT EXISTS (SELECT 1 FROM provider_symbol p
                  WHERE p.provider = %(provider)s AND p.instrument_id = i.id)
ORDER BY g.vendor_symbol COLLATE "C"
"""

_MAKE_SERIES = """
INSERT INTO series (provider, instrument_id, event_type, timeframe, adjustment, hours, anchor,
                    precedence)
SELECT %s, i.id, 'bar', g.timeframe, g.adjustment, g.hours, g.anchor, 100
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
     WITH ORDINALITY AS g(symbol, timeframe, adjustment, hours, anchor, position)
JOIN instrument i ON i.symbol = g.symbol
ORDER BY g.position
ON CONFLICT DO NOTHING
"""

_FIND_SERIES = """
SELECT i.symbol, s.timeframe, s.adjustment, s.hours, s.anchor, s.id
FROM series s JOIN instrument i ON i.id = s.instrument_id
WHERE s.provider = %s AND s.event_type = 'bar' AND i.symbol = ANY(%s)
"""


def ensure_series(
    facts: Mapping[str, InstrumentFacts], names: Iterable[SeriesName], *, provider: str
) -> dict[SeriesName, int]:
    """Return the ids of series, creating them, their instruments and symbol maps if need be.

    `facts` are by symbol. A handful of statements, however many series there are.
    """
    ordered = sorted(set(names), key=lambda one: one.sort_key)
    known = find_series([*ordered], provider=provider)
    lacking = [one for one in ordered if one not in known]
    if not lacking:
        return known
    _make_instruments([facts[symbol] for symbol in dict.fromkeys(one.symbol for one in lacking)])
    _name_instruments(facts, {one.symbol for one in lacking}, provider=provider)
    columns = [[one.symbol for one in lacking]]
    columns += [list(column) for column in zip(*(one.texts for one in lacking), strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(_MAKE_SERIES, [provider, *columns])
    return known | find_series(lacking, provider=provider)


def _make_instruments(facts: Sequence[InstrumentFacts]) -> None:
    new = [one for one in facts if not one.stored]
    if not new:
        return
    listings = [one.listing for one in new]
    with connection.cursor() as cursor:
        cursor.execute(
            _MAKE_INSTRUMENTS,
            [
                [one.symbol for one in new],
                [one.name for one in listings],
                [(one.asset_class or AssetClass.EQUITY).value for one in listings],
                [one.underlying for one in new],
                [one.venue for one in listings],
                [one.currency or "USD" for one in listings],
                [one.has_volume is not False for one in listings],
                [one.listed_from for one in listings],
                [one.delisted_on for one in listings],
                [one.facts_from for one in new],
            ],
        )


def _name_instruments(
    facts: Mapping[str, InstrumentFacts], symbols: Iterable[str], *, provider: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_NAMELESS, {"symbols": sorted(symbols), "provider": provider})
        nameless = [facts[symbol] for (symbol,) in cursor.fetchall()]
        if not nameless:
            return
        cursor.execute(
            _NAME,
            {
                "provider": provider,
                "symbols": [one.symbol for one in nameless],
                "vendor_symbols": [one.vendor_symbol for one in nameless],
                "roll_rules": [one.listing.roll_rule for one in nameless],
            },
        )


def find_series(names: Sequence[SeriesName], *, provider: str) -> dict[SeriesName, int]:
    """Return the ids of those series that exist, in one query."""
    wanted = set(names)
    with connection.cursor() as cursor:
        cursor.execute(_FIND_SERIES, [provider, sorted({one.symbol for one in names})])
        found = {
            SeriesName(
                row[0], Timeframe(row[1]), Adjustment(row[2]), Hours(row[3]), Anchor(row[4])
            ): int(row[5])
            for row in cursor.fetchall()
        }
    return {name: series_id for name, series_id in found.items() if name in wanted}


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


_FACTS = """
SELECT s.id, s.provider, i.symbol, s.timeframe, s.adjustment, s.hours, s.anchor, i.venue,
       i.listed_from, i.has_volume, i.asset_class IN ('future', 'continuous'),
       coalesce((SELECT array_agg(p.vendor_symbol ORDER BY p.valid) FROM provider_symbol p
                 WHERE p.provider = s.provider AND p.instrument_id = i.id
                   AND NOT isempty(p.valid)), ARRAY[i.symbol]::varchar[]),
       (SELECT array_agg(lower(p.valid) ORDER BY p.valid) FROM provider_symbol p
        WHERE p.provider = s.provider AND p.instrument_id = i.id AND NOT isempty(p.valid)),
       (SELECT array_agg(upper(p.valid) ORDER BY p.valid) FROM provider_symbol p
        WHERE p.provider = s.provider AND p.instrument_id = i.id AND NOT isempty(p.valid)),
       i.delisted_on
FROM series s JOIN instrument i ON i.id = s.instrument_id WHERE s.id = ANY(%s)
"""


def load_facts(series_ids: Iterable[int]) -> dict[int, SeriesFacts]:
    """Read the identity of series in one query."""
    with connection.cursor() as cursor:
        cursor.execute(_FACTS, [sorted(set(series_ids))])
        return {row[0]: _facts(row) for row in cursor.fetchall()}


def _facts(row: tuple[Any, ...]) -> SeriesFacts:
    spellings, firsts, lasts, delisted_on = row[11:15]
    none = [None] * len(spellings)
    return SeriesFacts(
        series_id=row[0],
        provider=row[1],
        symbol=row[2],
        timeframe=Timeframe(row[3]),
        adjustment=Adjustment(row[4]),
        hours=Hours(row[5]),
        anchor=Anchor(row[6]),
        venue=row[7],
        listed_from=midnight(row[8]),
        has_volume=row[9],
        may_be_negative=row[10],
        delisted_on=midnight(delisted_on),
        aliases=tuple(
            Alias(spelling, midnight(first), midnight(last))
            for spelling, first, last in zip(spellings, firsts or none, lasts or none, strict=True)
        ),
    )
