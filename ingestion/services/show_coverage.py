"""Show what is loaded of each series, what is explained, and what is a gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time

from django.db import transaction

from ingestion.calendars import expectation_for
from ingestion.domain.coverage import Ranges
from ingestion.domain.gaps import Evidence, GapReport, find_gaps
from ingestion.domain.windows import Window, from_us, to_us
from ingestion.services.find_series import find_series
from ingestion.store import series_reads
from ingestion.store.series_reads import BarCount, SeriesRow
from providers.types import Timeframe

NOTHING_EXPECTED = GapReport(expected=0, loaded=0, explained=0, gaps=())


@dataclass(frozen=True, slots=True)
class SeriesCoverage:
    """Hold the coverage of one series over `window`, in stamp space.

    `window` is None where nothing was ever asked for. `watermark` is the exclusive end up to which
    no expected session lacks; None where nothing is settled before the first gap.
    """

    series: SeriesRow
    window: Window | None
    bars: BarCount
    report: GapReport
    watermark: datetime | None


def show_coverage(
    *,
    now: datetime,
    symbols: Sequence[str] = (),
    timeframes: Sequence[Timeframe] = (),
    provider: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> tuple[SeriesCoverage, ...]:
    """Return the coverage of all series that pass every filter given, in listing order.

    Without `start` and `end` each series is judged over all that was ever asked of it. Sessions
    that are not over by `now` are not expected yet. Raises NothingStored for a symbol without any.
    """
    with transaction.atomic():
        found = find_series(symbols=symbols, timeframes=timeframes, provider=provider)
        evidence = series_reads.read_evidence([one.id for one in found], now=now)
        asked = series_reads.asked_windows([one.id for one in found])
        windows = {
            one.id: _window(asked.get(one.id), evidence[one.id], start=start, end=end)
            for one in found
        }
        bars = series_reads.count_bars({key: one for key, one in windows.items() if one})
    return tuple(
        _cover(
            one,
            window=windows[one.id],
            evidence=evidence[one.id],
            bars=bars.get(one.id, BarCount()),
            now=now,
        )
        for one in found
    )


def judge_series(
    series: SeriesRow, *, window: Window | None, evidence: Evidence, now: datetime
) -> GapReport:
    """Judge one series over a window, cut to the instrument's life; None expects nothing."""
    if window is None:
        return NOTHING_EXPECTED
    start, end = window.start, window.end
    if series.listed_from is not None:
        start = max(start, datetime.combine(series.listed_from, time(), UTC))
    if series.delisted_on is not None:
        end = min(end, datetime.combine(series.delisted_on, time(), UTC))
    if end <= start:
        return NOTHING_EXPECTED
    expectation = expectation_for(
        venue=series.venue,
        timeframe=series.timeframe,
        hours=series.hours,
        anchor=series.anchor,
    )
    return find_gaps(expectation, window=Window(start, end), evidence=evidence, now_us=to_us(now))


def _cover(
    series: SeriesRow,
    *,
    window: Window | None,
    evidence: Evidence,
    bars: BarCount,
    now: datetime,
) -> SeriesCoverage:
    report = judge_series(series, window=window, evidence=evidence, now=now)
    return SeriesCoverage(
        series=series,
        window=window,
        bars=bars,
        report=report,
        watermark=_watermark(report, window=window, evidence=evidence),
    )


def _watermark(report: GapReport, *, window: Window | None, evidence: Evidence) -> datetime | None:
    """Return where the first gap begins, or else where the last settled part ends."""
    if window is None or not report.loaded + report.explained:
        return None
    settled = evidence.loaded.union(evidence.proofs).clip(window.start_us, window.end_us)
    mark = report.gaps[0].start if report.gaps else int(settled.ends[-1])
    return from_us(mark) if settled.starts[0] < mark else None


def _window(
    asked: Window | None, evidence: Evidence, *, start: datetime | None, end: datetime | None
) -> Window | None:
    """Return the span to judge: as given, else over everything asked for or known."""
    known = Ranges.of_windows([asked] if asked else []).union(
        evidence.loaded.union(evidence.proofs)
    )
    if not len(known) and (start is None or end is None):
        return None
    first = start if start is not None else from_us(int(known.starts[0]))
    last = end if end is not None else from_us(int(known.ends[-1]))
    return Window(first, last) if first < last else None
