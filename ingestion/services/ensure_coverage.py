"""Say at once what is there of what someone wants, and see to the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.coverage import Ranges
from ingestion.domain.ensuring import EnsureRequest, share_out, with_bars
from ingestion.domain.errors import BadRequest, JobEnded
from ingestion.domain.spec import JobRequest
from ingestion.domain.windows import Window, from_us
from ingestion.services.change_priority import change_priority
from ingestion.services.open_job import open_resolved
from ingestion.services.plan_job import plan_or_fail
from ingestion.services.resolve_request import (
    ResolvedRequest,
    ResolvedSeries,
    final_until,
    lacking,
    resolve_request,
)
from ingestion.services.watch_job import JobProgress, watch_job
from ingestion.store import file_sources, jobs, series_reads
from ingestion.store.coverage import read_known
from ingestion.store.open_work import read_open_work
from ingestion.store.series import SeriesName
from providers.types import Adjustment, Timeframe

_BECAUSE = "someone waits for it"


@dataclass(frozen=True, slots=True)
class EnsuredGap:
    """Hold a stretch that is neither loaded nor explained, and how many bars it should have."""

    window: Window
    bars: int


@dataclass(frozen=True, slots=True)
class EnsuredSeries:
    """Say what is there of one series, in bars that the calendar promises.

    `window` is what of the request is settled and can be had, None where nothing is. Of `promised`
    bars there `loaded` are covered and `explained` proven absent; `gaps` hold the rest.
    `unsettled` counts those of the request that are not over, or not final, yet: they begin at
    `settled_until`.
    """

    provider: str
    symbol: str
    timeframe: Timeframe
    adjustment: Adjustment
    window: Window | None
    promised: int
    loaded: int
    explained: int
    gaps: tuple[EnsuredGap, ...]
    settled_until: datetime
    unsettled: int

    @property
    def lacking(self) -> int:
        """Return how many bars lie in gaps."""
        return sum(gap.bars for gap in self.gaps)


@dataclass(frozen=True, slots=True)
class Ensured:
    """Say what is there now, and which jobs see to the rest: `opened` are new among them.

    One that has ended failed at it within the last minute.
    """

    series: tuple[EnsuredSeries, ...]
    jobs: tuple[JobProgress, ...]
    opened: tuple[int, ...]

    @property
    def covered(self) -> bool:
        """Tell whether nothing lacks that could be there."""
        return not any(one.gaps for one in self.series)

    @property
    def job_id(self) -> int | None:
        """Return the job to follow, the newest where there are several; None if nothing lacks."""
        return max((one.job.id for one in self.jobs), default=None)


def ensure_coverage(
    request: EnsureRequest, *, now: datetime, actor: Actor, egress: str = "default"
) -> Ensured:
    """Answer what is covered, and queue exactly what is not, before everything but realtime work.

    What open jobs are about to fetch is not asked for again: their priority is raised instead. So
    the same request, however often and from however many it comes, makes one job; what that failed
    at is asked for again after a minute. What is not settled yet is stated and not queued. Raises
    BadRequest for a symbol that needs a provider to be named, and what resolve_request raises.
    """
    series: list[EnsuredSeries] = []
    joined: list[int] = []
    opened: list[int] = []
    for part in _by_provider(request, now=now):
        resolved = resolve_request(part, now=now, read_stored=True)
        if _holes(resolved.series):
            resolved, others, own = _see_to(part, now=now, actor=actor, egress=egress)
            joined += others
            if own is not None:
                plan_or_fail(own, now=now)
                opened.append(own)
        series += [_answer(one, resolved, now=now) for one in resolved.series]
    return Ensured(
        series=tuple(series),
        jobs=tuple(watch_job(job_id) for job_id in sorted({*joined, *opened})),
        opened=tuple(opened),
    )


def _by_provider(request: EnsureRequest, *, now: datetime) -> list[JobRequest]:
    """Ask each provider for what is best believed from it."""
    asked = JobRequest(
        provider=request.provider or "",
        symbols=request.symbols,
        timeframes=(request.timeframe,),
        start=request.start,
        end=request.end or now,
        adjustment=request.adjustment,
        hours=request.hours,
        venue=request.venue,
        priority=request.urgency.priority,
    )
    if request.provider:
        return [asked]
    best = _best_sources(request)
    unknown = [symbol for symbol in request.symbols if symbol not in best]
    if unknown:
        raise BadRequest(
            f"nothing is stored of {', '.join(unknown[:5])} at {request.timeframe} that says where"
            " it comes from; name a provider with --provider",
            field="provider",
        )
    sharing: dict[tuple[str, Adjustment], list[str]] = {}
    for symbol in request.symbols:
        sharing.setdefault(best[symbol], []).append(symbol)
    return [
        replace(asked, provider=provider, adjustment=adjustment, symbols=tuple(symbols))
        for (provider, adjustment), symbols in sharing.items()
    ]


def _best_sources(request: EnsureRequest) -> dict[str, tuple[str, Adjustment]]:
    found = [
        one
        for one in series_reads.select_series(
            symbols=request.symbols, timeframes=[request.timeframe]
        )
        if one.hours is request.hours and request.adjustment in (None, one.adjustment)
    ]
    gone = file_sources.removed_sources(one.provider for one in found)
    kept = [one for one in found if one.provider not in gone]
    # The first in order is the best; what comes later in this loop wins.
    ordered = sorted(kept, key=lambda one: (one.precedence, one.sort_key), reverse=True)
    return {one.symbol: (one.provider, one.adjustment) for one in ordered}


def _holes(series: Iterable[ResolvedSeries]) -> dict[SeriesName, Ranges]:
    """Return what lacks, by series; those that lack nothing are absent."""
    listed = list(series)
    return with_bars(
        {one.name: lacking(one) for one in listed},
        expectations={one.name: one.expectation for one in listed},
    )


def _see_to(
    part: JobRequest, *, now: datetime, actor: Actor, egress: str
) -> tuple[ResolvedRequest, list[int], int | None]:
    """Join the jobs that do what lacks, and open one for the rest; return both.

    One at a time for each provider: whoever comes second sees the first one's job.
    """
    with transaction.atomic():
        jobs.lock_request_key(f"ensure {part.provider}")
        resolved = resolve_request(part, now=now, read_stored=True)
        left = _holes(resolved.series)
        stored = {one.series_id: one for one in resolved.series if one.series_id is not None}
        holes = {key: left.pop(one.name) for key, one in stored.items() if one.name in left}
        shared = share_out(
            holes,
            read_open_work({key: ranges.hull for key, ranges in holes.items()}),
            expectations={key: stored[key].expectation for key in holes},
        )
        # What a job has fetched between the two looks is neither lacking nor open any more.
        known = read_known(shared.left)
        rest = {
            stored[key].name: ranges.subtract(known[key].settled)
            for key, ranges in shared.left.items()
        }
        left |= with_bars(rest, expectations={one.name: one.expectation for one in stored.values()})
        opened = _open(resolved, left, now=now, actor=actor, egress=egress) if left else None
        joined = [job_id for job_id in sorted(shared.joined) if _raise(job_id, part, actor=actor)]
    return resolved, [*joined, *shared.failed], opened


def _open(
    resolved: ResolvedRequest,
    left: Mapping[SeriesName, Ranges],
    *,
    now: datetime,
    actor: Actor,
    egress: str,
) -> int:
    series = tuple(
        replace(one, window=left[one.name].hull, only=left[one.name])
        for one in resolved.series
        if one.name in left
    )
    opened = open_resolved(replace(resolved, series=series), now=now, actor=actor, egress=egress)
    return opened.job_id


def _raise(job_id: int, part: JobRequest, *, actor: Actor) -> bool:
    """Put a job before others; return False where it has ended meanwhile."""
    assert part.priority is not None  # an urgency always has one
    try:
        change_priority(
            job_id, priority=part.priority, actor=actor, reason=_BECAUSE, only_raise=True
        )
    except JobEnded:
        return False
    return True


def _answer(one: ResolvedSeries, resolved: ResolvedRequest, *, now: datetime) -> EnsuredSeries:
    window = one.window
    asked = Ranges.of_windows([window] if window else [])
    gaps = _gaps(one)
    promised = _count(one, asked)
    loaded = _count(one, asked.intersect(one.known.loaded))
    settled_until = final_until(
        one.expectation, now=now, finality_delay=resolved.adapter.capabilities.finality_delay
    )
    return EnsuredSeries(
        provider=resolved.adapter.name,
        symbol=one.name.symbol,
        timeframe=one.name.timeframe,
        adjustment=one.name.adjustment,
        window=window,
        promised=promised,
        loaded=loaded,
        explained=promised - loaded - sum(gap.bars for gap in gaps),
        gaps=gaps,
        settled_until=settled_until,
        unsettled=_count(one, _unsettled(one, resolved.request, settled_until=settled_until)),
    )


def _gaps(one: ResolvedSeries) -> tuple[EnsuredGap, ...]:
    """Return what lacks, each gap from its first bar to the end of its last."""
    holes = _holes([one]).get(one.name)
    if holes is None:
        return ()
    bars = one.expectation.promised
    firsts = bars.first_from(holes.starts)
    ends = np.minimum(holes.ends, bars.last_before(holes.ends) + bars.step)
    counts = bars.rank(holes.ends) - bars.rank(holes.starts)
    return tuple(
        EnsuredGap(Window.of_us(first, end), count)
        for first, end, count in zip(firsts.tolist(), ends.tolist(), counts.tolist(), strict=True)
    )


def _unsettled(one: ResolvedSeries, request: JobRequest, *, settled_until: datetime) -> Ranges:
    """Return what of the request is not settled, within the instrument's life and the calendar."""
    assert request.start is not None  # as _by_provider asks
    assert request.end is not None
    ends = [request.end, from_us(one.expectation.sessions.known_until)]
    if one.instrument.delisted_on is not None:
        ends.append(one.instrument.delisted_on)
    start = max(request.start, settled_until)
    return Ranges.of_windows([Window(start, min(ends))] if start < min(ends) else [])


def _count(one: ResolvedSeries, ranges: Ranges) -> int:
    rank = one.expectation.promised.rank
    return int((rank(ranges.ends) - rank(ranges.starts)).sum())
