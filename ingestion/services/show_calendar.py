"""Say what is known of a venue's calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ingestion.calendars import sessions_for
from ingestion.domain.windows import from_us, to_us
from ingestion.services.list_overrides import ListedOverride, overrides_of
from ingestion.services.list_sessions import ListedSession, list_sessions
from ingestion.services.refresh_calendars import refresh_calendars
from ingestion.store.venue_series import venues_in_use
from providers.venue_rules import ALIASES
from providers.venues import UnknownVenue, aliases_of

NEAR_END = timedelta(days=90)
_AHEAD = timedelta(days=14)
_SHOWN_AHEAD = 5


@dataclass(frozen=True, slots=True)
class Calendar:
    """Hold the facts of a calendar; `stands_for` is the venue whose sessions an alias shares.

    `known_until` is the first date of which nothing is known.
    """

    venue: str
    stands_for: str
    shared_by: tuple[str, ...]
    tz: str
    always_open: bool
    known_from: date
    known_until: date
    last_session: date | None
    is_open: bool
    ahead: tuple[ListedSession, ...]
    overrides: tuple[ListedOverride, ...]


@dataclass(frozen=True, slots=True)
class EndingCalendar:
    """Name a calendar in use that ends soon, or has ended."""

    venue: str
    last_session: date | None


@dataclass(frozen=True, slots=True)
class KnownCalendars:
    """Name the venues in use, and those of their calendars that end soon."""

    venues: tuple[str, ...]
    ending: tuple[EndingCalendar, ...]


def show_calendar(venue: str, *, now: datetime) -> Calendar:
    """Describe a venue's calendar; raises UnknownVenue."""
    sessions = sessions_for(venue)
    stands_for = ALIASES.get(sessions.venue, sessions.venue)
    at = to_us(now)
    going = sessions.overlapping(at, at + 1)
    starts, ends, _ = going.pauses()
    paused = ((starts <= at) & (at < ends)).any()
    until = from_us(sessions.known_until)
    ahead = list_sessions(
        venue,
        start=min(now, until).date(),
        end=min(now + _AHEAD, until).date(),
    )
    return Calendar(
        venue=sessions.venue,
        stands_for=stands_for,
        shared_by=aliases_of(sessions.venue),
        tz=sessions.tz,
        always_open=sessions.always_open,
        known_from=from_us(sessions.known_from).date(),
        known_until=until.date(),
        last_session=_last(sessions.labels.tolist()),
        is_open=bool(len(going)) and not paused,
        ahead=tuple(one for one in ahead if one.close > now)[:_SHOWN_AHEAD],
        overrides=tuple(overrides_of(venue)),
    )


def known_calendars(*, now: datetime, within: timedelta = NEAR_END) -> KnownCalendars:
    """List the venues in use, and those of which nothing is known beyond a date that is near."""
    refresh_calendars()
    venues, ending = venues_in_use(), []
    for venue in venues:
        try:
            sessions = sessions_for(venue)
        except UnknownVenue:
            # Whoever uses it is told; what ends is another matter.
            continue
        if sessions.known_until < to_us(now + within):
            ending.append(EndingCalendar(venue, _last(sessions.labels.tolist())))
    return KnownCalendars(tuple(venues), tuple(ending))


def _last(labels: list[int]) -> date | None:
    return from_us(labels[-1]).date() if labels else None
