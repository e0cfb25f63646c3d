"""Find what lacks of many series at once: the one answer that everything else judges by."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time

from ingestion.calendars import expectation_for
from ingestion.domain.gaps import Evidence, GapReport, find_gaps
from ingestion.domain.windows import Window, from_us, to_us
from ingestion.store import series_reads
from ingestion.store.series_reads import SeriesRow

NOTHING_EXPECTED = GapReport(expected=0, loaded=0, explained=0, gaps=())


def series_gaps(
    series_ids: Iterable[int] | None,
    *,
    now: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
) -> dict[int, GapReport]:
    """Judge series over [start, end) in stamp space; None asks for every bar series stored.

    Where an end is not given, a series is judged over all that was ever asked or is known of it.
    Sessions (weeks, months) that are not over by `now` are not expected yet, nor is anything
    outside an instrument's listing. Series that do not exist are absent from the answer.
    """
    found = series_reads.select_series(ids=series_ids)
    ids = [one.id for one in found]
    evidence = series_reads.read_evidence(ids, now=now)
    asked = {} if start and end else series_reads.asked_windows(ids)
    return {
        one.id: judge_series(
            one,
            window=judged_window(asked.get(one.id), evidence[one.id], start=start, end=end),
            evidence=evidence[one.id],
            now=now,
        )
        for one in found
    }


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


def judged_window(
    asked: Window | None, evidence: Evidence, *, start: datetime | None, end: datetime | None
) -> Window | None:
    """Return the span to judge: as given, else over everything asked for or known."""
    known = evidence.loaded.union(evidence.proofs)
    firsts = [from_us(int(known.starts[0]))] if len(known) else []
    lasts = [from_us(int(known.ends[-1]))] if len(known) else []
    if asked is not None:
        firsts.append(asked.start)
        lasts.append(asked.end)
    first = start if start is not None else min(firsts, default=None)
    last = end if end is not None else max(lasts, default=None)
    return Window(first, last) if first and last and first < last else None
