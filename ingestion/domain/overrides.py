"""What an override says of one session, and what holds of all that was said of it."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from itertools import groupby

from ingestion.domain.windows import to_us
from providers.declared import DeclaredSession


class OverrideKind(enum.StrEnum):
    """Name what an override says of one session of a venue.

    `closed` takes the session away; `hours` gives it other hours (a late open, an early close);
    `special` adds a session on a day without one; `halt` is a span in which nothing trades, of
    which a session may have several; `withdrawn` takes back all that was declared of the session.
    """

    CLOSED = "closed"
    HOURS = "hours"
    SPECIAL = "special"
    HALT = "halt"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Override:
    """State what is so of one session of a venue; times are instants, None keeps the usual one."""

    venue: str
    session: date
    kind: OverrideKind
    opens_at: datetime | None = None
    closes_at: datetime | None = None


def what_holds(overrides: Iterable[Override]) -> tuple[Override, ...]:
    """Return those that still hold, of all that were declared, in the order they were declared.

    The last of closed, hours and special holds; halts hold together; withdrawn ends them all.
    """
    held: dict[tuple[str, date], list[Override]] = {}
    for one in overrides:
        before = held.setdefault((one.venue, one.session), [])
        if one.kind is OverrideKind.WITHDRAWN:
            before.clear()
        elif one.kind is OverrideKind.HALT:
            if one not in before:
                before.append(one)
        else:
            before[:] = [other for other in before if other.kind is OverrideKind.HALT]
            before.append(one)
    return tuple(one for those in held.values() for one in those)


def declared_sessions(held: Iterable[Override]) -> dict[str, tuple[DeclaredSession, ...]]:
    """Return what holds, by venue and ascending by session, as the calendars take it."""
    found: dict[str, list[DeclaredSession]] = {}
    ordered = sorted(held, key=_place)
    for (venue, session), those in groupby(ordered, key=_place):
        declared = DeclaredSession(label=label_us(session))
        for one in those:
            declared = _with(declared, one)
        found.setdefault(venue, []).append(declared)
    return {venue: tuple(sessions) for venue, sessions in found.items()}


def label_us(session: date) -> int:
    """Return 00:00Z of a session's date in µs."""
    return to_us(datetime.combine(session, time(), UTC))


def _place(one: Override) -> tuple[str, date]:
    return one.venue, one.session


def _with(declared: DeclaredSession, one: Override) -> DeclaredSession:
    opens = None if one.opens_at is None else to_us(one.opens_at)
    closes = None if one.closes_at is None else to_us(one.closes_at)
    if one.kind is OverrideKind.CLOSED:
        return replace(declared, closed=True)
    if one.kind is OverrideKind.HALT and opens is not None and closes is not None:
        return replace(declared, halts=(*declared.halts, (opens, closes)))
    return replace(declared, opens=opens, closes=closes)
