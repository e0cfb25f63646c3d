"""Load the sessions of a venue: from exchange_calendars, our rules, and what people declared."""

from __future__ import annotations

import functools
import importlib
import threading
import warnings
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from providers.declared import Declared, DeclaredSession, current
from providers.overriding import overridden
from providers.sessions import DAY_US, NO_BREAK, Sessions, Stamps
from providers.venue_hours import Schedule, apply_rules, extended_hours
from providers.venue_rules import ALIASES, VENUES, VenueRules

if TYPE_CHECKING:
    import pandas as pd

# The oldest daily series in common use begin in 1962; packages know no holidays much before.
KNOWN_FROM: Final = date(1960, 1, 1)
# A fixed horizon keeps the sessions of a release identical in every process and on every day;
# calendars whose holidays are tables end earlier, at the last year the package lists.
KNOWN_UNTIL: Final = date(2035, 12, 31)

_HOLIDAYS_FROM: Final = date(1970, 1, 1)
_LOADING: Final = threading.Lock()


class UnknownVenue(LookupError):
    """Signal a venue code for which there is no calendar."""

    def __init__(self, venue: str) -> None:
        super().__init__(
            f"unknown venue {venue!r}; use an exchange's MIC such as XNYS, XLON or CMES, "
            "24/7 for crypto or FX for foreign exchange"
        )
        self.venue = venue


class UnusableCalendar(UnknownVenue):
    """Signal a venue whose calendar the installed packages name but cannot compute."""

    def __init__(self, venue: str) -> None:
        super().__init__(venue)
        self.args = (
            f"the calendar of {venue} cannot be computed by the installed exchange_calendars; "
            "give a venue with the same hours and holidays instead",
        )


@dataclass(frozen=True, slots=True)
class _Known:
    declared: Declared
    statements: tuple[DeclaredSession, ...]
    sessions: Sessions


_known: Final[dict[str, _Known]] = {}


def load_sessions(mic: str) -> Sessions:
    """Return every known session of a venue, the same object while nothing declared changes it.

    Aliases share the calendar of the venue they stand for, and what is declared of it, and keep
    their own name. Threads may ask at once. Raises UnknownVenue or, of the same kind,
    UnusableCalendar. The first call in a process imports exchange_calendars, about half a second.
    """
    declared, venue = current(), _code(mic)
    known = _known.get(venue)
    if known is not None and known.declared is declared:
        return known.sessions
    statements = declared.of(venue, stands_for=ALIASES.get(venue, venue))
    with _LOADING:
        known = _known.get(venue)
        if known is None or known.statements != statements:
            known = _Known(declared, statements, overridden(_load(venue), statements))
        # Another thread may know of a later push already: then the next call looks again.
        _known[venue] = replace(known, declared=declared)
        return known.sessions


def load_calendar(mic: str) -> Sessions:
    """Return the sessions of a venue as the calendar and our rules have them, nothing declared.

    Raises as `load_sessions` does.
    """
    with _LOADING:
        return _load(_code(mic))


def aliases_of(mic: str) -> tuple[str, ...]:
    """Return the codes of venues that share what is declared of this one."""
    return tuple(sorted(alias for alias, venue in ALIASES.items() if venue == _code(mic)))


def _code(mic: str) -> str:
    return mic.strip().upper()


@functools.lru_cache(maxsize=256)
def _load(mic: str) -> Sessions:
    name = ALIASES.get(mic, mic)
    venue = VENUES.get(name, VenueRules(name))
    try:
        calendar = _calendar(venue.calendar)
    except _NoSuchCalendar:
        raise UnknownVenue(mic) from None
    except (NotImplementedError, ValueError) as error:
        # The package's feasts of the eastern churches do not survive pandas 3.
        raise UnusableCalendar(mic) from error
    schedule = apply_rules(calendar, venue)
    earliest, latest = extended_hours(schedule, venue.extended)
    return Sessions(
        venue=mic,
        tz=schedule.tz,
        labels=_frozen(schedule.labels),
        opens=_frozen(schedule.opens),
        closes=_frozen(schedule.closes),
        break_starts=_frozen(schedule.break_starts),
        break_ends=_frozen(schedule.break_ends),
        earliest=_frozen(earliest),
        latest=_frozen(latest),
        always_open=venue.calendar == "24/7" and not venue.hours,
        known_from=_midnight_us(schedule.first),
        known_until=_midnight_us(schedule.last) + DAY_US,
    )


class _NoSuchCalendar(LookupError):
    """Signal a name that exchange_calendars does not know."""


@functools.lru_cache(maxsize=256)
def _calendar(name: str) -> Schedule:
    """Return all of a calendar that the package knows of our span; venues may share it."""
    with warnings.catch_warnings():
        # exchange_calendars still calls what its pandas is about to change; not ours to act on.
        warnings.simplefilter("ignore", DeprecationWarning)
        factory = _find_factory(name)
        bound_min, bound_max = factory.bound_min(), factory.bound_max()
        first = max(KNOWN_FROM, bound_min.date()) if bound_min is not None else KNOWN_FROM
        last = min(KNOWN_UNTIL, bound_max.date()) if bound_max is not None else KNOWN_UNTIL
        # Built past the package's own cache: only the columns are kept, a hundredth of the whole.
        calendar = factory(start=first.isoformat(), end=last.isoformat())
        found = _schedule_of(calendar, first)
    columns = {
        "labels": _microseconds(found.index),
        "opens": _microseconds(found["open"]),
        "closes": _microseconds(found["close"]),
        "break_starts": _microseconds(found["break_start"]),
        "break_ends": _microseconds(found["break_end"]),
    }
    return Schedule.of_calendar(str(calendar.tz), columns, first=first, last=last)


def _find_factory(name: str) -> Any:
    """Return a calendar's class. Raises _NoSuchCalendar."""
    # Imported here because it pulls in pandas, which most commands never need.
    exchange_calendars: Any = importlib.import_module("exchange_calendars")
    dispatcher = exchange_calendars.calendar_utils.global_calendar_dispatcher
    try:
        known_as = dispatcher.resolve_alias(name)
        # Not public, but building a calendar only to ask for its class doubles the time.
        known = getattr(dispatcher, "_calendar_factories", {}).get(known_as)
        if known is not None:
            return known
        return type(exchange_calendars.get_calendar(name, start="2024-01-01", end="2024-12-31"))
    except exchange_calendars.errors.InvalidCalendarName:
        raise _NoSuchCalendar(name) from None


def _schedule_of(calendar: Any, first: date) -> pd.DataFrame:
    """Return a calendar's sessions without the holidays that it forgets.

    pandas begins its holidays in 1970 where nobody says otherwise, and exchange_calendars does not.
    """
    schedule: pd.DataFrame = calendar.schedule
    holidays = calendar.regular_holidays
    if first >= _HOLIDAYS_FROM or holidays is None:
        return schedule
    forgotten = holidays.holidays(first.isoformat(), _HOLIDAYS_FROM.isoformat())
    return schedule[~schedule.index.isin(forgotten)]


def _microseconds(column: pd.Series[Any] | pd.DatetimeIndex) -> Stamps:
    instants = column.to_numpy(dtype="datetime64[us]")
    stamps: Stamps = instants.astype(np.int64)
    stamps[np.isnat(instants)] = NO_BREAK
    return stamps


def _frozen(column: Stamps) -> Stamps:
    column = column.copy()
    column.flags.writeable = False
    return column


def _midnight_us(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_US
