"""Show one schedule: when it is due next and why then, and what became of its due times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingestion.calendars import sessions_for
from ingestion.domain.due import Due, is_excluded
from ingestion.domain.due_notes import noted
from ingestion.domain.errors import CalendarEnds
from ingestion.domain.firing import Fire, next_fire
from ingestion.domain.schedules import Disposition
from ingestion.services.check_settling import early_close
from ingestion.store.schedule_reads import (
    ScheduleView,
    SlotView,
    count_slots,
    last_slots,
    read_schedule,
)
from providers.venues import UnknownVenue

COUNTED: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Upcoming:
    """Hold one due time to come: when it fires, in whose time it is shown, why it is odd."""

    due: Due
    fires_at: datetime
    excluded: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """Hold the next due times, the zone to show them in, and why there are no more, if so."""

    zone: str
    upcoming: tuple[Upcoming, ...]
    ends: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """Hold a schedule, what comes and what was: slots latest first, counts of COUNTED.

    `warning` says why it comes too early, empty where it does not.
    """

    schedule: ScheduleView
    outlook: Outlook
    warning: str
    slots: tuple[SlotView, ...]
    counts: Mapping[Disposition, int]


def show_schedule(name: str, *, now: datetime, upcoming: int = 10, slots: int = 10) -> Shown:
    """Return one schedule with its next and its last due times. Raises UnknownSchedule."""
    found = read_schedule(name)
    return Shown(
        schedule=found,
        outlook=outlook(found, now=now, count=upcoming),
        warning=_warning(found),
        slots=tuple(last_slots([found.id], limit=slots)),
        counts=count_slots(found.id, since=now - COUNTED),
    )


def show_next(name: str, *, now: datetime, count: int) -> tuple[ScheduleView, Outlook]:
    """Return one schedule and its next due times. Raises UnknownSchedule."""
    found = read_schedule(name)
    return found, outlook(found, now=now, count=count)


def _warning(schedule: ScheduleView) -> str:
    if schedule.rule is None:
        return ""
    return early_close(schedule.definition, rule=schedule.rule, action=schedule.action)


def outlook(schedule: ScheduleView, *, now: datetime, count: int) -> Outlook:
    """Reckon when a schedule is due next, each time with why it is odd, if it is."""
    rule = schedule.rule
    if rule is None:
        return Outlook(schedule.tz, (), ends=schedule.words)
    try:
        sessions = sessions_for(schedule.venue) if schedule.venue else None
    except UnknownVenue as error:
        return Outlook(schedule.tz, (), ends=str(error.args[0]))
    fires: list[Fire] = []
    ends, after = "", now
    try:
        while len(fires) < count:
            fire = next_fire(schedule.timing(rule), sessions=sessions, after=after)
            if fire is None:
                ends = "" if schedule.listens else "it is never due after that"
                break
            fires.append(fire)
            after = fire.due.at
    except CalendarEnds as error:
        ends = error.message
    told = noted([one.due for one in fires], rule, tz=schedule.tz, sessions=sessions, since=now)
    return Outlook(
        zone=sessions.tz if sessions else schedule.tz,
        upcoming=tuple(
            Upcoming(
                due=due,
                fires_at=fire.at,
                excluded=is_excluded(schedule.exclusions, due, tz=schedule.tz),
            )
            for fire, due in zip(fires, told, strict=True)
        ),
        ends=ends,
    )
