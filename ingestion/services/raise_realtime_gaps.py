"""Say what a realtime job has left behind: holes further back than its polls reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from ingestion.domain.actor import SYSTEM
from ingestion.domain.coverage import Ranges
from ingestion.domain.gaps import Gap
from ingestion.domain.spec import SeriesSpec
from ingestion.domain.windows import Window, to_us
from ingestion.services.find_gaps import series_gaps
from ingestion.store import jobs, signals
from ingestion.store.coverage import Known
from ingestion.store.signals import NewSignal

SIGNAL: Final = "realtime_gap"
# Older holes are found by the quality checks, not by whoever polls.
_LOOKBACK: Final = timedelta(days=7)


def raise_realtime_gaps(
    job: jobs.JobRow,
    *,
    known: Mapping[int, Known],
    reach: Mapping[int, datetime],
    now: datetime,
) -> int:
    """Signal, in the caller's transaction, each hole that lies behind a poll; return how many.

    `reach` is where the next poll of each series begins. A hole is signalled once, after bars that
    came later have shown that the polls went on without it: a night, or a halt, is none.
    """
    since = max(job.spec.start, now - _LOOKBACK)
    holed = [
        series_id
        for series_id, first in reach.items()
        if _leaves_a_hole(known[series_id], since=since, before=first)
    ]
    if not holed:
        return 0
    reports = series_gaps(holed, now=now, start=since, end=max(reach[one] for one in holed))
    found = [
        (series_id, start_us, end_us)
        for series_id in holed
        for start_us, end_us in _behind(
            reports[series_id].gaps, known[series_id].settled, before=reach[series_id]
        )
    ]
    if not found:
        return 0
    told = signals.told_holes(SIGNAL, [(series_id, start_us) for series_id, start_us, _ in found])
    named = {one.series_id: one for one in job.spec.series}
    fresh = [
        _signal(job.job_id, named[series_id], Window.of_us(start_us, end_us))
        for series_id, start_us, end_us in found
        if (series_id, start_us) not in told
    ]
    signals.raise_many(fresh, actor=SYSTEM, now=now)
    return len(fresh)


def _signal(job_id: int, series: SeriesSpec, hole: Window) -> NewSignal:
    return NewSignal(
        SIGNAL,
        symbols=(series.symbol,),
        timeframe=series.timeframe,
        window=hole,
        # By series and start the signal is known again at the next poll.
        evidence={"job": job_id, "series": series.series_id, "start_us": hole.start_us},
        reason=f"job {job_id} polls on, but these bars never came",
    )


def _leaves_a_hole(known: Known, *, since: datetime, before: datetime) -> bool:
    """Tell whether something is covered on both sides of what is not."""
    if since >= before:
        return False
    settled = known.settled
    return len(settled) > 1 and settled.watermark(to_us(since)) < to_us(before)


def _behind(gaps: Sequence[Gap], settled: Ranges, *, before: datetime) -> Ranges:
    """Return what lacks within sessions that are not whole, and has something settled after it."""
    until = min(int(settled.ends[-1]), to_us(before))
    lacking = Ranges.of((gap.start, gap.end) for gap in gaps).subtract(settled)
    return Ranges.of((start, end) for start, end in lacking if end <= until)
