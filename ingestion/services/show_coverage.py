"""Show what is loaded of each series, what is explained and by what, and what is a gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ingestion.domain.gaps import GapReport
from ingestion.domain.windows import Window, from_us
from ingestion.services.find_gaps import judge_series
from ingestion.services.find_series import find_series
from ingestion.store import absence_reads, series_reads
from ingestion.store.absence_reads import AbsenceRow
from ingestion.store.series_reads import SERIES_COUNTED, BarCount, SeriesRow
from providers.types import Timeframe


@dataclass(frozen=True, slots=True)
class SeriesCoverage:
    """Hold the coverage of one series over `window`, in stamp space.

    `window` is None where nothing was ever asked for, `bars` where they were not counted.
    `absences` are windows without bars in it, with what shows them, where they were asked for.
    """

    series: SeriesRow
    window: Window | None
    bars: BarCount | None
    report: GapReport
    absences: tuple[AbsenceRow, ...] = ()

    @property
    def watermark(self) -> datetime | None:
        """Return the exclusive end up to which no expected session lacks.

        None where nothing is loaded or explained before the first gap.
        """
        return None if self.report.watermark is None else from_us(self.report.watermark)


def show_coverage(
    *,
    now: datetime,
    symbols: Sequence[str] = (),
    timeframes: Sequence[Timeframe] = (),
    provider: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    count_bars: bool | None = None,
    with_absences: bool = False,
) -> tuple[SeriesCoverage, ...]:
    """Return the coverage of all series that pass every filter given, in listing order.

    Without `start` and `end` each series is judged over all that was ever asked of it. Sessions
    that are not over by `now` are not expected yet. Bars are counted if `count_bars`, and where
    that is None, if the series are at most SERIES_COUNTED. Raises NothingStored for a symbol
    without any.
    """
    with transaction.atomic():
        found = find_series(symbols=symbols, timeframes=timeframes, provider=provider)
        judged = judge_series(found, now=now, start=start, end=end)
        windows = {one.series.id: one.window for one in judged if one.window}
        counted = len(found) <= SERIES_COUNTED if count_bars is None else count_bars
        bars = series_reads.count_bars(windows) if counted else {}
        absences = absence_reads.read_absences(windows, now=now) if with_absences else {}
    nothing = BarCount() if counted else None
    return tuple(
        SeriesCoverage(
            series=one.series,
            window=one.window,
            bars=bars.get(one.series.id, nothing),
            report=one.report,
            absences=absences.get(one.series.id, ()),
        )
        for one in judged
    )
