"""Load the sessions of a venue from exchange_calendars and our rules, once per process."""

from __future__ import annotations

import functools
import importlib
import threading
import warnings
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np

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

_LOADING: Final = threading.Lock()


class UnknownVenue(LookupError):
    """Signal a venue code for which there is no calendar."""

    def __init__(self, venue: str) -> None:
        super().__init__(
            f"unknown venue {venue!r}; use an exchange's MIC such as XNYS, XLON or CMES, "
            "24/7 for crypto or FX for foreign exchange"
        )
        self.venue = venue


def load_sessions(mic: str) -> Sessions:
    """Return every known session of a venue, cached per process; threads may ask at once.

    Aliases share the calendar of the venue they stand for and keep their own name. Raises
    UnknownVenue. The first call in a process imports exchange_calendars, about half a second.
    """
    with _LOADING:
        return _load(mic.strip().upper())


@functools.lru_cache(maxsize=256)
def _load(mic: str) -> Sessions:
    name = ALIASES.get(mic, mic)
    venue = VENUES.get(name, VenueRules(name))
    with warnings.catch_warnings():
        # exchange_calendars still calls what its pandas is about to change; not ours to act on.
        warnings.simplefilter("ignore", DeprecationWarning)
        calendar, first, last = _build_calendar(venue, mic)
    columns = {
        "labels": _microseconds(calendar.schedule.index),
        "opens": _microseconds(calendar.schedule["open"]),
        "closes": _microseconds(calendar.schedule["close"]),
        "break_starts": _microseconds(calendar.schedule["break_start"]),
        "break_ends": _microseconds(calendar.schedule["break_end"]),
    }
    schedule = apply_rules(
        Schedule.of_calendar(str(calendar.tz), columns, first=first, last=last), venue
    )
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
        always_open=venue.calendar == "24/7",
        known_from=_midnight_us(first),
        known_until=_midnight_us(last) + DAY_US,
    )


def _build_calendar(venue: VenueRules, mic: str) -> tuple[Any, date, date]:
    """Return the calendar of all dates that it knows of our span, and its first and last."""
    factory = _find_factory(venue, mic)
    bound_min, bound_max = factory.bound_min(), factory.bound_max()
    first = max(KNOWN_FROM, bound_min.date()) if bound_min is not None else KNOWN_FROM
    last = min(KNOWN_UNTIL, bound_max.date()) if bound_max is not None else KNOWN_UNTIL
    # Built past the package's own cache: only the columns are kept, a hundredth of the calendar.
    return factory(start=first.isoformat(), end=last.isoformat()), first, last


def _find_factory(venue: VenueRules, mic: str) -> Any:
    """Return the calendar's class, with the week that the rules ask for."""
    # Imported here because it pulls in pandas, which most commands never need.
    exchange_calendars: Any = importlib.import_module("exchange_calendars")
    if venue.factory:
        module, _, name = venue.factory.partition(":")
        factory = getattr(importlib.import_module(module), name)
    else:
        try:
            # The class is only reachable through an instance.
            probe = exchange_calendars.get_calendar(
                venue.calendar, start="2024-01-01", end="2024-12-31"
            )
        except exchange_calendars.errors.InvalidCalendarName:
            raise UnknownVenue(mic) from None
        factory = type(probe)
    if not venue.all_week:
        return factory
    every_day = {"weekmask": "1111111", "special_weekmasks": [], "special_closes": []}
    return type(factory.__name__, (factory,), every_day)


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
