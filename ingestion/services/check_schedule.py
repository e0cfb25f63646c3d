"""Refuse a schedule that cannot be meant, naming the field that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import available_timezones

from ingestion.calendars import sessions_for
from ingestion.domain.due import check_exclusions
from ingestion.domain.errors import BadRequest, BadRule
from ingestion.domain.firing import Timing, next_fire
from ingestion.domain.rules import OnSignal, Rule, needs_venue, rule_text
from providers.sessions import Sessions
from providers.venues import UnknownVenue

_LONGEST_JITTER: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class When:
    """Say when a schedule is to fire, as a person asks for it; `tz` is empty where not said."""

    rule: Rule
    tz: str = ""
    venue: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    jitter: timedelta | None = None
    max_lateness: timedelta | None = None
    cooldown: timedelta | None = None
    gather: timedelta | None = None
    exclusions: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """Hold the zone and the venue that count, and the sessions of that venue, if any."""

    tz: str
    venue: str
    sessions: Sessions | None


def check_when(when: When, *, now: datetime) -> Checked:
    """Return what counts where a person left it out; a rule goes by the venue's clock, or by UTC.

    Raises BadRequest, BadRule and CalendarEnds.
    """
    sessions = _sessions_of(when.venue) if when.venue else None
    if sessions is None and needs_venue(when.rule):
        raise BadRequest(
            f"`{rule_text(when.rule)}` counts from sessions: name a venue, such as XNYS",
            field="venue",
        )
    tz = when.tz or (sessions.tz if sessions else "UTC")
    if tz not in available_timezones():
        raise BadRequest(f"{tz} is no time zone; write it like America/New_York", field="tz")
    if when.starts_at and when.ends_at and when.ends_at <= when.starts_at:
        raise BadRequest("the end must lie after the start", field="ends_at")
    _check_spans(when)
    check_exclusions(when.exclusions)
    _check_ever_due(when, tz=tz, sessions=sessions, now=now)
    return Checked(tz, sessions.venue if sessions else "", sessions)


def _sessions_of(venue: str) -> Sessions:
    try:
        return sessions_for(venue)
    except UnknownVenue as error:
        raise BadRequest(str(error.args[0]), field="venue") from error


def _check_spans(when: When) -> None:
    for field in ("jitter", "max_lateness", "cooldown", "gather"):
        span: timedelta | None = getattr(when, field)
        if span is not None and span < timedelta(0):
            raise BadRequest("a span of time cannot be negative", field=field)
    if when.jitter is not None and when.jitter > _LONGEST_JITTER:
        raise BadRequest("a jitter is at most a day", field="jitter")


def _check_ever_due(when: When, *, tz: str, sessions: Sessions | None, now: datetime) -> None:
    if isinstance(when.rule, OnSignal):
        return
    timing = Timing(
        schedule_id=0, rule=when.rule, tz=tz, starts_at=when.starts_at, ends_at=when.ends_at
    )
    if next_fire(timing, sessions=sessions, after=now) is None:
        within = " before its end" if when.ends_at else ""
        raise BadRule(f"`{rule_text(when.rule)}` is never due from now on{within}")
