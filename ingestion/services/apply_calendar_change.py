"""Declare what is so of sessions, and look again at exactly what hangs on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from django.db import connection, transaction

from ingestion.calendars import sessions_for
from ingestion.domain.actor import Actor
from ingestion.domain.calendar_change import changed_sessions, unit_changes
from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import expect
from ingestion.domain.overrides import Override, declared_sessions, what_holds
from ingestion.domain.windows import from_us, to_us
from ingestion.services.check_override import check_override, check_result
from ingestion.services.recompute_fires import recompute_fires
from ingestion.services.refresh_calendars import refresh_calendars
from ingestion.store import absences, audit, calendar_overrides, coverage, inspections
from ingestion.store.bars import lock_series
from ingestion.store.freshness import look_again
from ingestion.store.venue_series import ShapedSeries, series_of_venue
from ingestion.store.venues import replace_venue_sessions
from providers.declared import Declared, trying
from providers.sessions import Sessions, Stamps
from providers.venues import aliases_of


@dataclass(frozen=True, slots=True)
class CalendarChange:
    """Say what a change did: sessions by venue that are not what they were, series of which
    something loaded is to be fetched again, schedules whose next fires were reckoned anew."""

    written: int = 0
    sessions: Mapping[str, tuple[date, ...]] = field(default_factory=dict)
    doubted: int = 0
    schedules: int = 0


def apply_calendar_change(
    stated: Sequence[tuple[Override, str]], *, actor: Actor, now: datetime
) -> CalendarChange:
    """Declare overrides, each with its reason, all or none; what holds already is left out.

    Only what hangs on the sessions that changed is touched: their rows, what is loaded or explained
    within them, the next fires of the schedules of their venues. Raises BadOverride,
    OutsideCalendar and UnknownVenue.
    """
    with transaction.atomic():
        # Everybody else goes on with the calendar as it was until this is committed.
        calendar_overrides.lock_calendars()
        revision = calendar_overrides.read_revision()
        known = calendar_overrides.read_statements(until=revision)
        fresh = _accepted(stated, known)
        if not fresh:
            return CalendarChange()
        calendar_overrides.insert_statements(fresh, actor=actor)
        for one, reason in fresh:
            _record(one, reason, actor=actor)
        before = _declared(known, revision)
        after = _declared([*known, *(one for one, _ in fresh)], calendar_overrides.read_revision())
        change = _carry_out({one.venue for one, _ in fresh}, before, after, now=now)
    refresh_calendars()
    return replace(change, written=len(fresh))


def would_change(stated: Sequence[tuple[Override, str]]) -> bool:
    """Tell whether anything of it says something new; raises as `apply_calendar_change` does."""
    revision = calendar_overrides.read_revision()
    return bool(_accepted(stated, calendar_overrides.read_statements(until=revision)))


def _accepted(
    stated: Sequence[tuple[Override, str]], known: Sequence[Override]
) -> list[tuple[Override, str]]:
    """Check each statement against all before it; leave out what says nothing new."""
    fresh: list[tuple[Override, str]] = []
    held = what_holds(known)
    for one, reason in stated:
        if one in held:
            continue
        check_override(one, held=held)
        held = what_holds([*held, one])
        check_result(one, held=held)
        fresh.append((one, reason))
    return fresh


def _declared(said: Sequence[Override], revision: int) -> Declared:
    return Declared(revision, declared_sessions(what_holds(said)))


def _record(one: Override, reason: str, *, actor: Actor) -> None:
    audit.record(
        actor=actor,
        action="calendar.declare",
        object_type="venue",
        object_id=one.venue,
        after={
            "session": one.session.isoformat(),
            "kind": one.kind.value,
            "opens_at": one.opens_at and one.opens_at.isoformat(),
            "closes_at": one.closes_at and one.closes_at.isoformat(),
        },
        reason=reason,
    )


def _carry_out(
    venues: set[str], before: Declared, after: Declared, *, now: datetime
) -> CalendarChange:
    concerned = sorted(venues.union(*(aliases_of(venue) for venue in venues)))
    with trying(before):
        old = {venue: sessions_for(venue) for venue in concerned}
    with trying(after):
        new = {venue: sessions_for(venue) for venue in concerned}
        labels = {venue: changed_sessions(old[venue], new[venue]) for venue in concerned}
        changed = [venue for venue in concerned if len(labels[venue])]
        for venue in changed:
            replace_venue_sessions(new[venue], labels[venue])
        # Schedules are locked before any series is.
        schedules = sum(recompute_fires(now=now, venue=venue) for venue in changed)
        look_again(now=now)
        shapes = [(venue, shape) for venue in changed for shape in series_of_venue(venue)]
        if shapes:
            lock_series(connection, [one for _, shape in shapes for one in shape.series_ids])
        doubted = sum(
            _look_again_at(shape, old[venue], new[venue], labels[venue], now=now)
            for venue, shape in shapes
        )
    return CalendarChange(
        sessions={
            venue: tuple(from_us(label).date() for label in labels[venue].tolist())
            for venue in changed
        },
        doubted=doubted,
        schedules=schedules,
    )


def _look_again_at(
    shape: ShapedSeries, before: Sessions, after: Sessions, labels: Stamps, *, now: datetime
) -> int:
    """Doubt and forget, for series of one shape, what was judged by the sessions as they were."""
    expected, expects = (
        expect(sessions, timeframe=shape.timeframe, hours=shape.hours, anchor=shape.anchor)
        for sessions in (before, after)
    )
    changes = unit_changes(expected, expects, labels)
    others = changes.grown.union(changes.gone)
    if len(others):
        absences.forget_within(shape.series_ids, others)
    begun = _begun(changes.touched, now=now)
    if len(begun):
        inspections.queue_ranges(shape.series_ids, begun)
    return coverage.doubt_within(shape.series_ids, changes.grown) if len(changes.grown) else 0


def _begun(ranges: Ranges, *, now: datetime) -> Ranges:
    """Leave out what has not begun yet: nothing of it can be inspected."""
    there = ranges.starts < to_us(now)
    return Ranges.of_arrays(ranges.starts[there], ranges.ends[there])
