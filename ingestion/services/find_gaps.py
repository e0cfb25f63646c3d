"""Find what lacks of many series at once: the one answer that everything else judges by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

import numpy as np
from django.db import transaction

from ingestion.calendars import expectation_for
from ingestion.domain.gaps import (
    ALWAYS,
    EVER,
    NOTHING_EXPECTED,
    Asked,
    Evidence,
    GapReport,
    find_gaps,
)
from ingestion.domain.spans import Spans
from ingestion.domain.windows import Window, to_us
from ingestion.store import evidence as evidence_reads
from ingestion.store import series_reads
from ingestion.store.instrument_facts import midnight
from ingestion.store.series_reads import SeriesRow
from providers.types import Anchor, Hours, Timeframe

_Shape = tuple[str, Timeframe, Hours, Anchor]


@dataclass(frozen=True, slots=True)
class Judged:
    """Hold what was found of one series over `window`; None where nothing was ever asked for."""

    series: SeriesRow
    window: Window | None
    report: GapReport


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
    outside an instrument's listing, or outside the dates on which the provider has a name for it.
    Series that do not exist are absent from the answer.
    """
    found = series_reads.select_series(ids=series_ids, limit=None)
    return {one.series.id: one.report for one in judge_series(found, now=now, start=start, end=end)}


def judge_series(
    series: Sequence[SeriesRow],
    *,
    now: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
    windows: Mapping[int, Window] | None = None,
) -> list[Judged]:
    """Judge series in their order, as `series_gaps` does, or each over its own of `windows`.

    Series without a window of their own are expected to hold nothing.
    """
    ordered = sorted(series, key=_shape)
    ids = [one.id for one in ordered]
    with transaction.atomic():
        known = evidence_reads.read_evidence(ids, now=now)
        if windows is not None:
            spans = _given(ids, windows)
        else:
            spans = _judged_spans(ids, known, start=start, end=end)
        lives = _lives(ordered)
    asked = Asked.of(spans, lives=lives)
    reports = _reports(ordered, asked=asked, known=known, now_us=to_us(now))
    held = dict(
        zip(
            spans.owners.tolist(),
            zip(spans.starts.tolist(), spans.ends.tolist(), strict=True),
            strict=True,
        )
    )
    judged = {
        one.id: Judged(one, Window.of_us(*held[place]) if place in held else None, report)
        for place, (one, report) in enumerate(zip(ordered, reports, strict=True))
    }
    return [judged[one.id] for one in series]


def _shape(series: SeriesRow) -> _Shape:
    return (series.venue, series.timeframe, series.hours, series.anchor)


def _reports(
    ordered: Sequence[SeriesRow], *, asked: Asked, known: Evidence, now_us: int
) -> list[GapReport]:
    """Judge shape after shape; the series of one shape follow each other."""
    reports: list[GapReport] = []
    for (venue, timeframe, hours, anchor), group in groupby(ordered, key=_shape):
        first, count = len(reports), sum(1 for _ in group)
        mine = asked.of_owners(first, first + count)
        if not len(mine.pieces):
            # Of what nothing is asked, the venue's calendar need not be loaded.
            reports += [NOTHING_EXPECTED] * count
            continue
        reports += find_gaps(
            expectation_for(venue=venue, timeframe=timeframe, hours=hours, anchor=anchor),
            asked=mine,
            evidence=known.of_owners(first, first + count),
            count=count,
            now_us=now_us,
        )
    return reports


def _given(ids: Sequence[int], windows: Mapping[int, Window]) -> Spans:
    owners = [place for place, one in enumerate(ids) if one in windows]
    chosen = [windows[ids[place]] for place in owners]
    return Spans(
        np.array(owners, np.intp),
        np.array([one.start_us for one in chosen], np.int64),
        np.array([one.end_us for one in chosen], np.int64),
    )


def _judged_spans(
    ids: Sequence[int], known: Evidence, *, start: datetime | None, end: datetime | None
) -> Spans:
    """Return the span to judge of each: as given, else over everything asked for or known."""
    count = len(ids)
    if start is not None and end is not None:
        firsts = np.full(count, to_us(start))
        lasts = np.full(count, to_us(end))
    else:
        parts = [evidence_reads.asked_spans(ids), known.loaded, known.proofs, known.not_listed]
        stored = Spans.join(parts)
        firsts = stored.first_starts(count, otherwise=EVER)
        lasts = stored.last_ends(count, otherwise=ALWAYS)
        firsts = firsts if start is None else np.full(count, to_us(start))
        lasts = lasts if end is None else np.full(count, to_us(end))
    return Spans.of(np.arange(count), firsts, lasts)


def _lives(series: Sequence[SeriesRow]) -> Spans:
    """Return when each instrument is listed and has a name at its provider."""
    listed = Spans(
        np.arange(len(series)),
        np.array([_day(one.listed_from, otherwise=ALWAYS) for one in series], np.int64),
        np.array([_day(one.delisted_on, otherwise=EVER) for one in series], np.int64),
    )
    named = evidence_reads.named_spans([one.id for one in series])
    if not len(named):
        return listed
    always = ~np.isin(listed.owners, named.owners)
    unbounded = Spans(listed.owners[always], listed.starts[always], listed.ends[always])
    return Spans.join([unbounded, named.within(listed).union()])


def _day(day: date | None, *, otherwise: int) -> int:
    moment = midnight(day)
    return otherwise if moment is None else to_us(moment)
