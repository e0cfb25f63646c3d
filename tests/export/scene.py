"""Put series, bars, coverage and actions into the database, and read selections of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
from django.db import connection, transaction

from ingestion.calendars import expectation_for
from ingestion.domain.selection import SelectedChunk, Selection
from ingestion.domain.windows import to_us
from ingestion.models import CorporateActionRecord, Instrument, Series
from ingestion.services.select_bars import select_bars
from ingestion.store.bars import SeriesBars, write_bars
from providers.bars import Bars
from providers.types import Adjustment, Anchor, Hours, Timeframe

LONG_AGO = datetime(2024, 6, 1, tzinfo=UTC)


def plain() -> psycopg.Connection[Any]:
    """Return psycopg's own connection, which is all that reading needs."""
    connection.ensure_connection()
    raw = connection.connection
    assert isinstance(raw, psycopg.Connection)
    return raw


def instrument(symbol: str = "AAA", *, venue: str = "XNYS") -> Instrument:
    return Instrument.objects.get_or_create(symbol=symbol, defaults={"venue": venue})[0]


@dataclass(frozen=True)
class Stored:
    """Hold one series and the bars that it was given."""

    id: int
    bars: Bars


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def store(
    provider: str,
    *days: str,
    symbol: str = "AAA",
    venue: str = "XNYS",
    timeframe: Timeframe = Timeframe.M1,
    adjustment: Adjustment = Adjustment.RAW,
    hours: Hours = Hours.REGULAR,
    precedence: int = 100,
    share: float = 1.0,
    price: float = 100.0,
    covered: Sequence[str] | None = None,
) -> Stored:
    """Store a share of the bars of some sessions, and cover some of them: all by default."""
    series, _ = Series.objects.get_or_create(
        provider=provider,
        instrument=instrument(symbol, venue=venue),
        timeframe=timeframe,
        adjustment=adjustment,
        hours=hours,
        anchor=Anchor.OPEN,
        defaults={"precedence": precedence},
    )
    expectation = expectation_for(venue=venue, timeframe=timeframe, hours=hours, anchor=Anchor.OPEN)
    spans = [(day(one), day(one) + timedelta(days=1)) for one in days]
    stamps = np.concatenate(
        [expectation.accepted.stamps(to_us(start), to_us(end)) for start, end in spans]
    )
    kept = stamps[: round(len(stamps) * share)]
    bars = Bars.build(
        ts=kept,
        open=np.full(len(kept), price),
        high=np.full(len(kept), price + 1),
        low=np.full(len(kept), price - 1),
        close=np.full(len(kept), price),
        volume=np.full(len(kept), 10.0),
    )
    write(series.id, bars)
    cover(series.id, *(days if covered is None else covered))
    return Stored(series.id, bars)


def write(series_id: int, bars: Bars) -> None:
    """Write bars as one attempt; they are known since long ago."""
    batch = SeriesBars(
        series_id=series_id,
        attempt_id=1,
        window_start_us=int(bars.ts[0]),
        window_end_us=int(bars.ts[-1]) + 1,
        bars=bars,
    )
    with transaction.atomic():
        write_bars(connection, [batch])
    run("UPDATE bar SET known_from = %s WHERE series_id = %s", LONG_AGO, series_id)


def cover(series_id: int, *days: str) -> None:
    """Say that whole days are loaded."""
    ranges = ",".join(f"[{day(one)},{day(one) + timedelta(days=1)})" for one in days)
    run(
        "INSERT INTO coverage (series_id, loaded, updated_at) VALUES (%s, %s, now())"
        " ON CONFLICT (series_id) DO UPDATE SET loaded = coverage.loaded + excluded.loaded",
        series_id,
        f"{{{ranges}}}",
    )


def act(kind: str, ex_date: str, value: float, *, provider: str = "yahoo", **known: Any) -> None:
    """Record a split or a dividend of AAA."""
    CorporateActionRecord.objects.create(
        instrument=instrument(),
        provider=provider,
        ex_date=date.fromisoformat(ex_date),
        kind=kind,
        value=value,
        **({"known_from": LONG_AGO} | known),
    )


def run(query: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query, list(values))


@dataclass(frozen=True)
class Read:
    """Hold all that one series of a selection gave."""

    chunks: list[SelectedChunk] = field(default_factory=list)

    @property
    def bars(self) -> Bars:
        return Bars.concat([one.bars for one in self.chunks])

    @property
    def complete(self) -> list[bool]:
        return [bool(flag) for one in self.chunks for flag in one.complete]  # type: ignore[union-attr]

    @property
    def providers(self) -> list[str]:
        """Return the provider of each bar."""
        return [
            one.series.sources[code].provider
            for one in self.chunks
            for code in (np.zeros(len(one), np.int16) if one.codes is None else one.codes)
        ]

    def providers_of(self, date_: str) -> set[str]:
        """Return the providers of one day's bars."""
        low, high = to_us(day(date_)), to_us(day(date_) + timedelta(days=1))
        pairs = zip(self.bars.ts, self.providers, strict=True)
        return {provider for ts, provider in pairs if low <= ts < high}


def read(**asked: Any) -> Read:
    """Read a selection."""
    return Read(list(select_bars(plain(), Selection(**asked))))
