"""List the sessions of a venue, as everything in mdc goes by them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from ingestion.calendars import sessions_for
from ingestion.domain.expectation import OutsideCalendar
from ingestion.domain.overrides import label_us
from ingestion.domain.windows import Window, from_us
from providers.session_kinds import SessionKind, session_kinds
from providers.sessions import Sessions


@dataclass(frozen=True, slots=True)
class ListedSession:
    """Hold one session; `breaks` are its pauses, halts among them, each a start and an end."""

    session: date
    open: datetime
    close: datetime
    kind: SessionKind
    breaks: tuple[tuple[datetime, datetime], ...]


def list_sessions(venue: str, *, start: date, end: date) -> list[ListedSession]:
    """List the sessions labelled in [start, end), ascending.

    Raises OutsideCalendar, which names the last known session, and UnknownVenue.
    """
    sessions = sessions_for(venue)
    require_known(sessions, start=start, end=end)
    found = sessions.between(label_us(start), label_us(end))
    kinds = session_kinds(sessions)[sessions.labels.searchsorted(found.labels)]
    breaks: dict[int, list[tuple[datetime, datetime]]] = {}
    for begins, ends, row in zip(*(column.tolist() for column in found.pauses()), strict=True):
        breaks.setdefault(row, []).append((from_us(begins), from_us(ends)))
    columns = (found.labels.tolist(), found.opens.tolist(), found.closes.tolist(), kinds)
    return [
        ListedSession(
            session=from_us(label).date(),
            open=from_us(opens),
            close=from_us(closes),
            kind=kind,
            breaks=tuple(breaks.get(row, ())),
        )
        for row, (label, opens, closes, kind) in enumerate(zip(*columns, strict=True))
    ]


def require_known(sessions: Sessions, *, start: date, end: date) -> None:
    """Raise OutsideCalendar unless the calendar knows all dates of [start, end)."""
    first, last = label_us(start), label_us(end)
    if first < last and (first < sessions.known_from or last > sessions.known_until):
        raise OutsideCalendar(sessions, Window.of_us(first, last))
