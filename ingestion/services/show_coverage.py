"""Show what is loaded of each series, what is explained, and what is a gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ingestion.domain.gaps import Evidence, GapReport
from ingestion.domain.windows import Window, from_us
from ingestion.services.find_gaps import judge_series, judged_window
from ingestion.services.find_series import find_series
from ingestion.store import series_reads
from ingestion.store.series_reads import BarCount, SeriesRow
from providers.types import Timeframe


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
            one.id: judged_window(asked.get(one.id), evidence[one.id], start=start, end=end)
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
