"""Load the sessions of a venue from exchange_calendars, once per process."""

from __future__ import annotations

import functools
import importlib
import warnings
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from providers.sessions import DAY_US, NO_BREAK, Sessions, Stamps

if TYPE_CHECKING:
    import pandas as pd

KNOWN_FROM: Final = date(1990, 1, 1)
# A fixed horizon keeps the sessions of a release identical in every process and on every day;
# calendars whose holidays are tables end earlier, at the last year the package lists.
KNOWN_UNTIL: Final = date(2035, 12, 31)

# What exchange_calendars does not name itself: market segments of an exchange, and venues that
# keep the hours and holidays of another one.
ALIASES: Final = {
    "XNGS": "XNYS",
    "XNMS": "XNYS",
    "XNCM": "XNYS",
    "IEXG": "XNYS",
    "BATY": "XNYS",
    "EDGA": "XNYS",
    "EDGX": "XNYS",
    "OTCM": "XNYS",
    "XCME": "CMES",
    "XCBT": "CMES",
    "XNYM": "CMES",
    "XCEC": "CMES",
    "GLBX": "CMES",
    "XNSE": "XBOM",
    "CRYPTO": "24/7",
    "FX": "24/5",
}


class UnknownVenue(LookupError):
    """Signal a venue code for which there is no calendar."""

    def __init__(self, venue: str) -> None:
        super().__init__(
            f"unknown venue {venue!r}; use an exchange's MIC such as XNYS, XLON or CMES, "
            "24/7 for crypto or 24/5 for foreign exchange"
        )
        self.venue = venue


def load_sessions(mic: str) -> Sessions:
    """Return every known session of a venue, cached per process.

    Aliases share the calendar of the venue they stand for and keep their own name. Raises
    UnknownVenue. The first call in a process imports exchange_calendars, about half a second.
    """
    return _load(mic.strip().upper())


@functools.lru_cache(maxsize=256)
def _load(mic: str) -> Sessions:
    name = ALIASES.get(mic, mic)
    with warnings.catch_warnings():
        # exchange_calendars still calls what its pandas is about to change; not ours to act on.
        warnings.simplefilter("ignore", DeprecationWarning)
        calendar, first, last = _build_calendar(name, mic)
    schedule = calendar.schedule
    return Sessions(
        venue=mic,
        tz=str(calendar.tz),
        labels=_microseconds(schedule.index),
        opens=_microseconds(schedule["open"]),
        closes=_microseconds(schedule["close"]),
        break_starts=_microseconds(schedule["break_start"]),
        break_ends=_microseconds(schedule["break_end"]),
        always_open=name == "24/7",
        known_from=_midnight_us(first),
        known_until=_midnight_us(last) + DAY_US,
    )


def _build_calendar(name: str, mic: str) -> tuple[Any, date, date]:
    """Return the calendar of all dates that it knows of our span, and its first and last."""
    # Imported here because it pulls in pandas, which most commands never need.
    exchange_calendars: Any = importlib.import_module("exchange_calendars")
    try:
        # Bounds are class attributes, but the class is only reachable through an instance.
        probe = exchange_calendars.get_calendar(name, start="2024-01-01", end="2024-12-31")
    except exchange_calendars.errors.InvalidCalendarName:
        raise UnknownVenue(mic) from None
    bound_min, bound_max = type(probe).bound_min(), type(probe).bound_max()
    first = max(KNOWN_FROM, bound_min.date()) if bound_min is not None else KNOWN_FROM
    last = min(KNOWN_UNTIL, bound_max.date()) if bound_max is not None else KNOWN_UNTIL
    # Built past the package's own cache: only the columns are kept, a hundredth of the calendar.
    return type(probe)(start=first.isoformat(), end=last.isoformat()), first, last


def _microseconds(column: pd.Series[Any] | pd.DatetimeIndex) -> Stamps:
    instants = column.to_numpy(dtype="datetime64[us]")
    stamps: Stamps = instants.astype(np.int64)
    stamps[np.isnat(instants)] = NO_BREAK
    stamps.flags.writeable = False
    return stamps


def _midnight_us(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_US
