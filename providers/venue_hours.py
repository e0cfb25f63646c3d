"""Lay the hours that venue rules state over the days of a calendar; numpy only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from providers.instants import utc_offsets
from providers.sessions import DAY_US, NO_BREAK, Stamps
from providers.venue_days import NAMED, weekdays
from providers.venue_rules import DaysRule, ExtendedHours, HoursRule, VenueRules

_MINUTE_US: Final = 60_000_000
_EPOCH: Final = date(1970, 1, 1)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Hold the columns of providers.sessions.Sessions while they are being made, and their zone.

    `early` marks the sessions that close before the usual hour. Labels in [first, last] are known.
    """

    tz: str
    labels: Stamps
    opens: Stamps
    closes: Stamps
    break_starts: Stamps
    break_ends: Stamps
    early: Mask
    first: date
    last: date

    @classmethod
    def of_calendar(
        cls, tz: str, columns: dict[str, Stamps], *, first: date, last: date
    ) -> Schedule:
        """Take over a calendar's columns; the usual hour of closing is the most frequent one."""
        closes = columns["closes"]
        on_clock = (closes + utc_offsets(closes, tz)) % DAY_US
        hours, counts = np.unique(on_clock, return_counts=True)
        usual = int(hours[np.argmax(counts)])
        # Midnight is the end of the day before, so nothing closes before it.
        early = (on_clock < usual) if usual else np.zeros(len(closes), np.bool_)
        return cls(tz=tz, **columns, early=early, first=first, last=last)

    def rows(self, rows: Mask | NDArray[np.intp]) -> Schedule:
        """Select sessions by mask or in the order of positions."""
        return replace(
            self,
            labels=self.labels[rows],
            opens=self.opens[rows],
            closes=self.closes[rows],
            break_starts=self.break_starts[rows],
            break_ends=self.break_ends[rows],
            early=self.early[rows],
        )


def apply_rules(schedule: Schedule, venue: VenueRules) -> Schedule:
    """Return the schedule as the venue's rules have it, in the venue's zone."""
    schedule = replace(schedule, tz=venue.tz or schedule.tz)
    if venue.closes_later:
        schedule = replace(schedule, closes=schedule.closes + venue.closes_later * _MINUTE_US)
    for hours in venue.hours:
        schedule = _with_hours(schedule, hours)
    for days in venue.days:
        schedule = _with_days(schedule, days)
    return schedule


def extended_hours(schedule: Schedule, extended: ExtendedHours | None) -> tuple[Stamps, Stamps]:
    """Return when trading outside the sessions begins and ends: with the session if not at all."""
    if extended is None:
        return schedule.opens, schedule.closes
    latest = instants(schedule.labels, extended.latest, schedule.tz)
    if extended.latest_short:
        short = instants(schedule.labels, extended.latest_short, schedule.tz)
        latest = np.where(schedule.early, short, latest)
    earliest = instants(schedule.labels, extended.earliest, schedule.tz)
    return np.minimum(earliest, schedule.opens), np.maximum(latest, schedule.closes)


def instants(labels: Stamps, clock: str, tz: str) -> Stamps:
    """Return when a clock time of providers.venue_rules strikes around each label, in µs UTC."""
    days = 0
    if clock[0] in "+-":
        shift, clock = clock.split(" ", 1)
        days = int(shift)
    time, _, zone = clock.partition(" ")
    hour, minute = time.split(":")
    local = labels + days * DAY_US + (int(hour) * 60 + int(minute)) * _MINUTE_US
    zone = zone or tz
    # The offset of the wall clock taken as UTC is right but within hours of a change; once more.
    near = local - utc_offsets(local, zone)
    return local - utc_offsets(near, zone)


def _with_hours(schedule: Schedule, rule: HoursRule) -> Schedule:
    labels, tz = schedule.labels, schedule.tz
    wanted = np.array([int(day) for day in rule.weekdays])
    there = _between(labels, rule.since, rule.until) & np.isin(weekdays(labels // DAY_US), wanted)
    whole = there & ~schedule.early

    def stated(current: Stamps, clock: str, where: Mask) -> Stamps:
        return np.where(where, instants(labels, clock, tz), current) if clock else current

    return replace(
        schedule,
        opens=stated(schedule.opens, rule.opens, there),
        closes=stated(schedule.closes, rule.closes, whole),
        break_starts=stated(schedule.break_starts, rule.pause, whole),
        break_ends=stated(schedule.break_ends, rule.resume, whole),
    )


def _with_days(schedule: Schedule, rule: DaysRule) -> Schedule:
    if rule.adds:
        schedule = _with_new_days(schedule, rule)
    found = _named(schedule.labels, rule)
    if rule.closed:
        return schedule.rows(~found)
    labels, tz = schedule.labels, schedule.tz
    opens = instants(labels, rule.opens, tz) if rule.opens else schedule.opens
    return replace(
        schedule,
        opens=np.where(found, opens, schedule.opens),
        closes=np.where(found, instants(labels, rule.closes, tz), schedule.closes),
        break_starts=np.where(found, NO_BREAK, schedule.break_starts),
        break_ends=np.where(found, NO_BREAK, schedule.break_ends),
        early=schedule.early | found,
    )


def _with_new_days(schedule: Schedule, rule: DaysRule) -> Schedule:
    """Add the days that are no sessions yet; where the rule names no opening, as usual."""
    first, last = ((day - _EPOCH).days for day in (schedule.first, schedule.last))
    every = np.arange(first, last + 1) * DAY_US
    fresh = every[_named(every, rule) & ~np.isin(every, schedule.labels)]
    if not len(fresh):
        return schedule
    # The opening of the session before, carried over on the venue's clock.
    before = np.maximum(np.searchsorted(schedule.labels, fresh) - 1, 0)
    shown = schedule.opens + utc_offsets(schedule.opens, schedule.tz) - schedule.labels
    wall = fresh + shown[before]
    opens = wall - utc_offsets(wall - utc_offsets(wall, schedule.tz), schedule.tz)
    none = np.full(len(fresh), NO_BREAK, np.int64)
    longer = replace(
        schedule,
        labels=np.concatenate((schedule.labels, fresh)),
        opens=np.concatenate((schedule.opens, opens)),
        closes=np.concatenate((schedule.closes, opens)),
        break_starts=np.concatenate((schedule.break_starts, none)),
        break_ends=np.concatenate((schedule.break_ends, none)),
        early=np.concatenate((schedule.early, np.ones(len(fresh), np.bool_))),
    )
    return longer.rows(np.argsort(longer.labels, kind="stable"))


def _named(labels: Stamps, rule: DaysRule) -> Mask:
    found = np.zeros(len(labels), np.bool_)
    for name in rule.days:
        if name in NAMED:
            found |= NAMED[name](labels // DAY_US)
        else:
            found |= labels == _label(name)
    return found & _between(labels, rule.since, rule.until)


def _between(labels: Stamps, since: str, until: str) -> Mask:
    found = np.ones(len(labels), np.bool_)
    if since:
        found &= labels >= _label(since)
    if until:
        found &= labels < _label(until)
    return found


def _label(day: str) -> int:
    return (date.fromisoformat(day) - _EPOCH).days * DAY_US
