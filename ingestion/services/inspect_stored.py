"""Look at what is stored of a selection of series, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import Window, to_us
from ingestion.services.find_series import find_series
from ingestion.services.inspect_part import Inspected
from ingestion.services.inspect_series import inspect_series
from ingestion.store import inspections
from ingestion.store.series_reads import SeriesRow
from providers.types import Timeframe


@dataclass(frozen=True, slots=True)
class InspectedSeries:
    """Hold what was looked at of one series, and what was found; None where nothing is stored."""

    series: SeriesRow
    window: Window | None
    inspected: Inspected


def inspect_stored(
    *,
    now: datetime,
    symbols: tuple[str, ...] = (),
    timeframes: tuple[Timeframe, ...] = (),
    provider: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Iterator[InspectedSeries]:
    """Inspect every series that passes the filters, and yield each when it is done.

    Without `start` and `end` all that is known of it is looked at. Raises NothingStored for a
    symbol without any, before the first is looked at.
    """
    found = find_series(symbols=symbols, timeframes=timeframes, provider=provider)
    return _each(found, start=start, end=end, now=now)


def _each(
    found: list[SeriesRow], *, start: datetime | None, end: datetime | None, now: datetime
) -> Iterator[InspectedSeries]:
    whole = inspections.whole_windows([one.id for one in found])
    for one in found:
        window = _cut(whole.get(one.id), start=start, end=end)
        inspected = Inspected()
        if window is not None:
            ranges = Ranges.of([(to_us(window.start), to_us(window.end))])
            inspected = inspect_series(one.id, ranges=ranges, now=now)
        yield InspectedSeries(one, window, inspected)


def _cut(whole: Window | None, *, start: datetime | None, end: datetime | None) -> Window | None:
    if whole is None:
        return None
    first = whole.start if start is None else max(start, whole.start)
    last = whole.end if end is None else min(end, whole.end)
    return Window(first, last) if first < last else None
