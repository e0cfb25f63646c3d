"""When a rule is due: pure functions of the rule, a zone, a venue's sessions and a moment."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, assert_never
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.errors import BadRequest, CalendarEnds
from ingestion.domain.rules import AtSession, Cron, Edge, Every, Of, Once, OnSignal, Rule, WhileOpen
from ingestion.domain.wall_clock import cron_instants
from ingestion.domain.windows import DAY_US, SECOND_US, from_us, to_us
from providers.instants import floor_dates
from providers.sessions import Sessions
from providers.types import Timeframe

Stamps = NDArray[np.int64]
_CACHED: Final = 512
_LAST_DATE: Final = date.max.isoformat()


@dataclass(frozen=True, slots=True)
class Due:
    """Hold one due time in UTC, the session it is counted from, and why it is odd, if it is."""

    at: datetime
    session: date | None
    note: str = ""


def next_due(
    rule: Rule,
    *,
    tz: str,
    sessions: Sessions | None,
    after: datetime,
    counted_from: datetime | None = None,
) -> Due | None:
    """Return the first due time strictly after a moment, or None where there is none any more.

    `tz` is whose clock a cron rule reads, `sessions` whose a rule on sessions counts from, and
    `counted_from` what `every` counts from, the epoch by default. A rule on signals is never due
    by itself. Raises CalendarEnds where the calendar does not reach so far.
    """
    return next(_dues(rule, tz=tz, sessions=sessions, after=after, counted_from=counted_from), None)


def dues_between(
    rule: Rule,
    *,
    tz: str,
    sessions: Sessions | None,
    after: datetime,
    until: datetime,
    limit: int,
    counted_from: datetime | None = None,
) -> tuple[Due, ...]:
    """Return the due times in (after, until], ascending, at most `limit`.

    Raises CalendarEnds only where none is known and the calendar ends before `until`.
    """
    found: list[Due] = []
    dues = _dues(rule, tz=tz, sessions=sessions, after=after, counted_from=counted_from)
    try:
        while len(found) < limit:
            due = next(dues, None)
            if due is None or due.at > until:
                break
            found.append(due)
    except CalendarEnds:
        if not found and not _is_known(rule, sessions, until):
            raise
    return tuple(found)


def is_excluded(exclusions: Sequence[Any], due: Due, *, tz: str) -> bool:
    """Tell whether a due time lies on an excluded day: its session's, or else its date in tz.

    An exclusion is a date such as "2026-12-24" or a pair of dates [from, before).
    """
    if not exclusions:
        return False
    day = due.session or due.at.astimezone(ZoneInfo(tz)).date()
    return any(_holds(exclusion, day.isoformat()) for exclusion in exclusions)


def check_exclusions(exclusions: Sequence[Any]) -> None:
    """Refuse what is neither a date nor a pair [from, before) of dates. Raises BadRequest."""
    for exclusion in exclusions:
        pair = [exclusion, _LAST_DATE] if isinstance(exclusion, str) else exclusion
        if not _is_pair(pair):
            raise BadRequest(
                f"{exclusion!r} is no excluded day; write a date such as 2026-12-24, or a pair:"
                " the first day, and the day on which it is over",
                field="exclusions",
            )


def _is_pair(pair: Any) -> bool:
    try:
        first, before = (date.fromisoformat(day).isoformat() == day and day for day in pair)
    except (TypeError, ValueError):
        return False
    return bool(first and before and first < before)


def jittered(schedule_id: int, due: datetime, jitter: timedelta | None) -> datetime:
    """Return when a due time fires: the same moment within the jitter whenever it is asked."""
    if not jitter:
        return due
    digest = hashlib.blake2b(f"{schedule_id} {due.isoformat()}".encode(), digest_size=8).digest()
    return due + jitter * (int.from_bytes(digest) / 2**64)


def _holds(exclusion: Any, day: str) -> bool:
    if isinstance(exclusion, str):
        return day == exclusion
    first, before = exclusion
    return bool(first <= day < before)


def _dues(
    rule: Rule,
    *,
    tz: str,
    sessions: Sessions | None,
    after: datetime,
    counted_from: datetime | None,
) -> Iterator[Due]:
    after_us = to_us(after)
    match rule:
        case Cron():
            instants = cron_instants(rule.expression, tz=tz, after_us=after_us)
            return (Due(from_us(instant), None) for instant in instants)
        case Every():
            start = 0 if counted_from is None else to_us(counted_from)
            return _every(rule.seconds * SECOND_US, start, after_us)
        case Once():
            return iter((Due(rule.at, None),) if rule.at > after else ())
        case AtSession():
            return _at_sessions(rule, _given(sessions), after_us)
        case WhileOpen():
            return _while_open(rule, _given(sessions), after_us)
        case OnSignal():
            return iter(())
        case _:
            assert_never(rule)


def _given(sessions: Sessions | None) -> Sessions:
    if sessions is None:
        raise ValueError("a rule on sessions needs the sessions of its venue")
    return sessions


def _every(step: int, start: int, after_us: int) -> Iterator[Due]:
    instant = start + max((after_us - start) // step + 1, 0) * step
    while True:
        yield Due(from_us(instant), None)
        instant += step


def _at_sessions(rule: AtSession, sessions: Sessions, after_us: int) -> Iterator[Due]:
    labels, edges = _edges(sessions, rule.edge, rule.of)
    offset = rule.offset_seconds * SECOND_US
    for row in range(int(np.searchsorted(edges, after_us - offset, side="right")), len(edges)):
        yield Due(from_us(int(edges[row]) + offset), _date(labels[row]))
    raise CalendarEnds(sessions.venue, _last_session(sessions))


def _while_open(rule: WhileOpen, sessions: Sessions, after_us: int) -> Iterator[Due]:
    step = rule.seconds * SECOND_US
    starts, lasts = _steps(sessions, step)
    for part in range(int(np.searchsorted(lasts, after_us, side="right")), len(lasts)):
        start, last = int(starts[part]), int(lasts[part])
        first = start + max((after_us - start) // step + 1, 1) * step
        for instant in range(first, last + 1, step):
            session = sessions.labels[np.searchsorted(sessions.closes, instant)]
            yield Due(from_us(instant), _date(session))
    raise CalendarEnds(sessions.venue, _last_session(sessions))


@functools.lru_cache(maxsize=_CACHED)
def _edges(sessions: Sessions, edge: Edge, of: Of) -> tuple[Stamps, Stamps]:
    """Return the labels of the sessions that are meant, and the instants of their opens or closes.

    The first and the last period count only where the calendar knows all of it.
    """
    instants = sessions.opens if edge is Edge.OPEN else sessions.closes
    labels = sessions.labels
    if of is Of.EACH:
        return labels, instants
    timeframe = Timeframe.W1 if of in (Of.FIRST_OF_WEEK, Of.LAST_OF_WEEK) else Timeframe.MO1
    # What lies just outside of what is known stands for the sessions that are not.
    around = np.concatenate(([sessions.known_from - DAY_US], labels, [sessions.known_until]))
    turns = np.diff(floor_dates(around, timeframe)) != 0
    meant = turns[:-1] if of in (Of.FIRST_OF_WEEK, Of.FIRST_OF_MONTH) else turns[1:]
    return labels[meant], instants[meant]


@functools.lru_cache(maxsize=_CACHED)
def _steps(sessions: Sessions, step: int) -> tuple[Stamps, Stamps]:
    """Return where each unbroken part that is as long as a step begins, and its last step's end."""
    starts, ends = _unbroken(sessions)
    whole = (ends - starts) // step
    long_enough = whole > 0
    return starts[long_enough], (starts + whole * step)[long_enough]


def _unbroken(sessions: Sessions) -> tuple[Stamps, Stamps]:
    """Return the spans of trading that nothing interrupts; sessions that abut run on."""
    pause_starts, pause_ends, _ = sessions.pauses()
    starts = np.sort(np.concatenate((sessions.opens, pause_ends)))
    ends = np.sort(np.concatenate((sessions.closes, pause_starts)))
    abut = starts[1:] == ends[:-1]
    return starts[np.concatenate(([True], ~abut))], ends[np.concatenate((~abut, [True]))]


def _is_known(rule: Rule, sessions: Sessions | None, until: datetime) -> bool:
    if sessions is None:
        return True
    offset = rule.offset_seconds * SECOND_US if isinstance(rule, AtSession) else 0
    # The first session that is not known may open on the evening before its date.
    return to_us(until) - offset < sessions.known_until - DAY_US


def _date(label: Any) -> date:
    return from_us(int(label)).date()


def _last_session(sessions: Sessions) -> date | None:
    return _date(sessions.labels[-1]) if len(sessions) else None
