"""Say why a due time is odd: a half day, a session of its own, a clock that was changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Final, assert_never
from zoneinfo import ZoneInfo

import numpy as np

from ingestion.domain.due import Due
from ingestion.domain.rules import AtSession, Cron, Edge, Rule, WhileOpen, span_words
from ingestion.domain.wall_clock import change_at, is_time_of_day, matches, shown_again
from ingestion.domain.windows import SECOND_US, from_us, to_us
from providers.instants import utc_offsets
from providers.session_kinds import SessionKind, session_kinds
from providers.sessions import DAY_US, Sessions

_EPOCH: Final = date(1970, 1, 1)


def noted(
    dues: Sequence[Due], rule: Rule, *, tz: str, sessions: Sessions | None, since: datetime
) -> tuple[Due, ...]:
    """Return ascending due times of a rule with their notes; `since` is when it was asked.

    Times in a note are those of the venue, or of `tz` where the rule knows no venue.
    """
    shown_in = sessions.tz if sessions is not None else tz
    zones = list(dict.fromkeys((tz, shown_in) if isinstance(rule, Cron) else (shown_in,)))
    told: list[Due] = []
    before = since
    for due in dues:
        notes = [*_session_notes(rule, due, sessions), *_clock_notes(due.at, before, zones)]
        if isinstance(rule, Cron) and is_time_of_day(rule.expression):
            notes += _night_notes(rule, to_us(due.at), tz)
        told.append(replace(due, note="; ".join(notes)))
        before = due.at
    return tuple(told)


def by_clock(moment: datetime, zone: str) -> str:
    """Spell a moment by the clock of a zone: Fri 2026-11-27 13:15 EST."""
    shown = moment.astimezone(ZoneInfo(zone))
    return f"{shown:%a %Y-%m-%d %H:%M:%S %Z}" if shown.second else f"{shown:%a %Y-%m-%d %H:%M %Z}"


def _session_notes(rule: Rule, due: Due, sessions: Sessions | None) -> Iterator[str]:
    if sessions is None or due.session is None:
        return
    row = int(np.searchsorted(sessions.labels, (due.session - _EPOCH).days * DAY_US))
    if note := _kind_note(rule, row, sessions):
        yield note
    if isinstance(rule, WhileOpen):
        yield from _halts(sessions, row)


def _kind_note(rule: Rule, row: int, sessions: Sessions) -> str:
    """Say what moved the end of the session from which the rule counts, if it is not the usual."""
    edge = rule.edge if isinstance(rule, AtSession) else None
    opens = _shown(int(sessions.opens[row]), sessions.tz)
    closes = _shown(int(sessions.closes[row]), sessions.tz)
    kind: SessionKind = session_kinds(sessions)[row]
    match kind:
        case SessionKind.NORMAL:
            return ""
        case SessionKind.EARLY_CLOSE:
            return "" if edge is Edge.OPEN else f"half day, closes at {closes}"
        case SessionKind.LATE_OPEN:
            return "" if edge is Edge.CLOSE else f"opens late, at {opens}"
        case SessionKind.SPECIAL:
            return f"special session, {opens} to {closes}"
        case _:
            assert_never(kind)


def _halts(sessions: Sessions, row: int) -> Iterator[str]:
    here = (sessions.halt_starts >= sessions.opens[row]) & (
        sessions.halt_starts < sessions.closes[row]
    )
    for start, end in zip(sessions.halt_starts[here], sessions.halt_ends[here], strict=True):
        yield f"halted from {_shown(int(start), sessions.tz)} to {_shown(int(end), sessions.tz)}"


def _clock_notes(at: datetime, before: datetime, zones: Sequence[str]) -> Iterator[str]:
    instants = np.array([to_us(before), to_us(at)], np.int64)
    for zone in zones:
        earlier, later = (int(offset) for offset in utc_offsets(instants, zone))
        if earlier != later:
            way = "forward" if later > earlier else "back"
            length = span_words(abs(later - earlier) // SECOND_US)
            where = f" in {zone}" if len(zones) > 1 else ""
            yield f"first after the clock went {way} {length}{where}"


def _night_notes(rule: Cron, at_us: int, zone: str) -> Iterator[str]:
    shown_us = at_us + int(utc_offsets(np.array([at_us], np.int64), zone)[0])
    skipped = change_at(at_us, zone)
    if skipped > 0 and not matches(rule.expression, shown_us):
        first, past = from_us(shown_us - skipped), from_us(shown_us)
        yield f"{first:%H:%M} to {past:%H:%M} is skipped that night"
    elif shown_again(at_us, zone):
        yield f"the first of two {from_us(shown_us):%H:%M}"


def _shown(instant_us: int, zone: str) -> str:
    return f"{from_us(instant_us).astimezone(ZoneInfo(zone)):%H:%M}"
