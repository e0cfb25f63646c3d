"""Refuse overrides that do not fit the calendar they are laid over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np

from ingestion.domain.errors import BadOverride
from ingestion.domain.expectation import OutsideCalendar
from ingestion.domain.overrides import Override, OverrideKind, declared_sessions, label_us
from ingestion.domain.windows import Window, from_us, to_us
from providers.declared import Declared
from providers.overriding import overridden
from providers.sessions import DAY_US, Sessions
from providers.venue_rules import ALIASES
from providers.venues import load_calendar

_REACH_US: Final = 10 * DAY_US


def check_override(one: Override, *, held: Sequence[Override]) -> None:
    """Refuse a statement for which there is no place; `held` are the overrides that hold so far.

    Raises BadOverride, OutsideCalendar and UnknownVenue.
    """
    calendar, label = load_calendar(one.venue), label_us(one.session)
    if label < calendar.known_from or label >= calendar.known_until:
        raise OutsideCalendar(calendar, Window.of_us(label, label + DAY_US))
    sessions = _around(one, held)
    usual = _row(calendar, label) is not None
    there = _row(sessions, label) is not None
    declared = any((by.venue, by.session) == (one.venue, one.session) for by in held)
    none, only = "there is no session on that day", "the calendar has"
    refusals = {
        OverrideKind.CLOSED: "" if usual or there else f"{none}, so none to close",
        OverrideKind.HOURS: "" if usual else f"{only} no session on that day; declare it special",
        OverrideKind.SPECIAL: f"{only} a session on that day; declare other hours" * usual,
        OverrideKind.HALT: "" if there else f"{none}, so none to halt",
        OverrideKind.WITHDRAWN: "" if declared else "nothing is declared, so nothing to withdraw",
    }
    if refusals[one.kind]:
        raise _bad(one, refusals[one.kind])
    if one.kind is OverrideKind.HALT:
        _check_halt(one, sessions)


def check_result(one: Override, *, held: Sequence[Override]) -> None:
    """Refuse a statement that leaves sessions which cannot be; `held` is what would hold."""
    sessions, label = _around(one, held), label_us(one.session)
    row = _row(sessions, label)
    if row is None:
        if one.kind in (OverrideKind.CLOSED, OverrideKind.WITHDRAWN, OverrideKind.HALT):
            return
        raise _bad(one, "nothing is left of the session; look at its open, its close and its halts")
    if row and sessions.closes[row - 1] > sessions.opens[row]:
        raise _bad(one, f"it would open before the session of {_day(sessions, row - 1)} closes")
    if row + 1 < len(sessions) and sessions.closes[row] > sessions.opens[row + 1]:
        raise _bad(one, f"it would close after the session of {_day(sessions, row + 1)} opens")


def _around(one: Override, held: Sequence[Override]) -> Sessions:
    """Return the sessions of the days around, by what holds: all that a statement can touch."""
    label, stands_for = label_us(one.session), ALIASES.get(one.venue, one.venue)
    near = [
        by
        for by in held
        if by.venue in (one.venue, stands_for) and abs(label_us(by.session) - label) < _REACH_US
    ]
    declared = Declared(0, declared_sessions(near)).of(one.venue, stands_for=stands_for)
    calendar = load_calendar(one.venue)
    return overridden(calendar.between(label - _REACH_US, label + _REACH_US), declared)


def _check_halt(one: Override, sessions: Sessions) -> None:
    row = _row(sessions, label_us(one.session))
    assert row is not None
    assert one.opens_at is not None
    assert one.closes_at is not None
    opens, closes = int(sessions.opens[row]), int(sessions.closes[row])
    if to_us(one.opens_at) >= closes or to_us(one.closes_at) <= opens:
        raise _bad(
            one,
            f"a halt lies within the session, {_clock(opens)} to {_clock(closes)}",
            field="opens",
        )


def _row(sessions: Sessions, label: int) -> int | None:
    place = int(np.searchsorted(sessions.labels, label))
    return place if place < len(sessions) and int(sessions.labels[place]) == label else None


def _clock(at: int) -> str:
    moment: datetime = from_us(at)
    return f"{moment:%Y-%m-%dT%H:%MZ}"


def _day(sessions: Sessions, row: int) -> str:
    return str(from_us(int(sessions.labels[row])).date())


def _bad(one: Override, message: str, *, field: str = "session") -> BadOverride:
    return BadOverride(message, venue=one.venue, session=one.session, field=field)
