"""Write stored bars as text, whole and in one order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ingestion.services.find_series import find_series
from ingestion.store import bar_export
from ingestion.store.bar_export import COLUMNS, ExportFormat
from ingestion.store.series_reads import SeriesRow
from providers.types import Hours, Timeframe


@dataclass(frozen=True, slots=True)
class ExportStep:
    """Say that a series has been written: `done` of `total`, `rows` so far."""

    series: SeriesRow
    done: int
    total: int
    rows: int


def export_bars(
    *,
    sink: Callable[[bytes], object],
    form: ExportFormat,
    symbols: Sequence[str] = (),
    timeframes: Sequence[Timeframe] = (),
    provider: str | None = None,
    hours: Hours = Hours.REGULAR,
    start: datetime | None = None,
    end: datetime | None = None,
    on_step: Callable[[ExportStep], None] = lambda step: None,
) -> int:
    """Write every bar in [start, end) of the series that pass the filters; return the rows.

    UTF-8, lines ended by a newline; CSV begins with a header. Ordered by provider, symbol,
    timeframe, adjustment (each by code point), then ts and sequence. All of it is one snapshot of
    the database. Raises NothingStored for a symbol without any series.
    """
    # Durable: only a transaction of its own can still choose its isolation.
    with transaction.atomic(durable=True):
        bar_export.freeze_snapshot()
        found = [
            one
            for one in find_series(symbols=symbols, timeframes=timeframes, provider=provider)
            if one.hours is hours
        ]
        if form is ExportFormat.CSV:
            sink(",".join(COLUMNS).encode() + b"\n")
        rows = 0
        for done, series in enumerate(found, start=1):
            rows += bar_export.copy_bars(series, start=start, end=end, form=form, sink=sink)
            on_step(ExportStep(series, done=done, total=len(found), rows=rows))
    return rows
