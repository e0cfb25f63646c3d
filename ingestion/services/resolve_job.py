"""Resolve a fired job: find the series and windows that its request means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.db import transaction

from ingestion.domain.actor import SYSTEM
from ingestion.domain.asked import Asked
from ingestion.domain.asked_windows import in_stamps, last_session_window, session_window
from ingestion.domain.schedules import ScheduleAction
from ingestion.domain.spec import JobRequest
from ingestion.domain.states import Desired, JobState, Outcome
from ingestion.domain.windows import Window
from ingestion.services.open_job import freeze
from ingestion.services.resolve_request import ResolvedRequest, ResolvedSeries, resolve_request
from ingestion.services.update_series import lacks_bars
from ingestion.store import jobs
from ingestion.store.crashpoints import crash_point
from ingestion.store.instrument_facts import instrument_facts
from providers.registry import get_adapter

# Whatever the timeframe, the bars that hold a session lie within this around it.
_AROUND_SESSION: Final = timedelta(days=40)
# A session's stamps end after its close; what is not settled yet is left out anyway.
_AHEAD: Final = timedelta(days=1)


def resolve_job(job_id: int, *, now: datetime) -> bool:
    """Give an unresolved job its series and return whether it got them.

    One that somebody stopped gets them when it goes on. One of which nothing is lacking is complete
    at once. What is slow happens before the job is locked. Raises UnknownJob, and what
    resolve_request raises.
    """
    request = jobs.read_request(job_id)
    if request is None:
        return False
    resolved = _resolve(Asked.from_json(request), now=now)
    with transaction.atomic():
        job = jobs.lock_job(job_id)
        stopped = job.state is not JobState.QUEUED or job.desired is not Desired.RUN
        if job.request is None or stopped:
            return False
        jobs.save_resolved(job_id, freeze(resolved, now=now))
        if not any(one.window for one in resolved.series):
            jobs.save_plan(job_id, cursor_at=None, planned=True)
            jobs.move(job, JobState.COMPLETED, actor=SYSTEM, outcome=Outcome.COMPLETE)
        crash_point("resolve.before_commit")
    crash_point("resolve.after_commit")
    return True


def _resolve(asked: Asked, *, now: datetime) -> ResolvedRequest:
    resolved = _at_venues(asked, _request(asked, now=now), now=now)
    series = resolved.series
    if asked.action is ScheduleAction.VERIFY and asked.window is None:
        series = tuple(_to_session(one, asked.session) for one in series)
    if not asked.kind.refetches:
        # Where nothing lacks at all the job still names what it looked at.
        behind = tuple(one for one in series if lacks_bars(one))
        series = behind or tuple(replace(one, window=None, beyond=None) for one in series)
    return replace(resolved, series=series)


def _request(asked: Asked, *, now: datetime) -> JobRequest:
    start, end = _bounds(asked, now=now)
    return JobRequest(
        provider=asked.provider,
        symbols=asked.symbols,
        timeframes=(asked.timeframe,),
        start=start,
        end=end,
        kind=asked.kind,
        adjustment=asked.adjustment,
        hours=asked.hours,
        slice_span=asked.slice_span,
    )


def _bounds(asked: Asked, *, now: datetime) -> tuple[datetime, datetime | None]:
    """Return the stamps to look at; those of a session are found per series afterwards."""
    if asked.window is not None:
        meant = in_stamps(asked.window, asked.timeframe)
        return meant.start, min(meant.end, now + _AHEAD)
    if asked.action is not ScheduleAction.VERIFY:
        return asked.start, None
    session = now if asked.session is None else _midnight(asked.session)
    return session - _AROUND_SESSION, min(session + _AROUND_SESSION, now + _AHEAD)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)


def _at_venues(asked: Asked, request: JobRequest, *, now: datetime) -> ResolvedRequest:
    """Resolve a request; the definition's venue counts for symbols of which none is known."""
    nowhere = _of_no_venue(asked, now=now) if asked.venue else frozenset()
    groups = [
        replace(
            request,
            symbols=tuple(one for one in asked.symbols if (one in nowhere) is is_nowhere),
            venue=asked.venue if is_nowhere else None,
        )
        for is_nowhere in (False, True)
    ]
    found = [
        resolve_request(group, now=now, read_stored=True)
        for group in groups
        if group.symbols or not asked.symbols
    ]
    return replace(found[0], request=request, series=tuple(s for one in found for s in one.series))


def _of_no_venue(asked: Asked, *, now: datetime) -> frozenset[str]:
    adapter = get_adapter(asked.provider)
    facts = instrument_facts(asked.symbols, adapter=adapter, venue=None, today=now.date())
    return frozenset(
        symbol for symbol, one in facts.items() if not one.stored and one.facts_from == "guess"
    )


def _to_session(one: ResolvedSeries, session: date | None) -> ResolvedSeries:
    """Cut a series to the session that is meant, as far as its bars are settled."""
    if one.window is None:
        return replace(one, beyond=None)
    if session is None:
        meant = last_session_window(one.expectation, settled=one.window.end)
    else:
        meant = session_window(one.expectation, session)
    return replace(one, window=_common(one.window, meant), beyond=None)


def _common(one: Window, other: Window | None) -> Window | None:
    if other is None:
        return None
    start, end = max(one.start, other.start), min(one.end, other.end)
    return Window(start, end) if start < end else None
