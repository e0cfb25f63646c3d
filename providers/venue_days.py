"""Find the days that venue rules speak of by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

DayNumbers = NDArray[np.int64]
Mask = NDArray[np.bool_]


def weekdays(days: DayNumbers) -> DayNumbers:
    """Return the ISO weekday (1 is Monday) of days counted since 1970-01-01."""
    # Day 0 of the epoch was a Thursday.
    numbers: DayNumbers = (days + 3) % 7 + 1
    return numbers


def on_date(days: DayNumbers, month: int, day: int) -> Mask:
    """Tell which days carry that date."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    in_month = months.astype(np.int64) % 12 + 1 == month
    found: Mask = in_month & ((dates - months).astype(np.int64) + 1 == day)
    return found


def observed(days: DayNumbers, month: int, day: int) -> Mask:
    """Tell which days keep that date: itself, the Friday before a Saturday, Monday after Sunday."""
    weekday = weekdays(days)
    found: Mask = on_date(days, month, day) & (weekday < 6)
    found |= on_date(days + 1, month, day) & (weekday == 5)
    found |= on_date(days - 1, month, day) & (weekday == 1)
    return found


def _after_thanksgiving(days: DayNumbers) -> Mask:
    # Thanksgiving is the fourth Thursday, so the day after is the Friday of 23 to 29 November.
    found: Mask = weekdays(days) == 5
    found &= np.logical_or.reduce([on_date(days, 11, day) for day in range(23, 30)])
    return found


def _holidays(days: DayNumbers) -> Mask:
    return on_date(days, 12, 25) | on_date(days, 1, 1)


NAMED: Final[dict[str, Callable[[DayNumbers], Mask]]] = {
    "Fridays": lambda days: weekdays(days) == 5,
    "Saturdays": lambda days: weekdays(days) == 6,
    "Sundays": lambda days: weekdays(days) == 7,
    "Christmas Eve": lambda days: on_date(days, 12, 24),
    "Christmas": lambda days: on_date(days, 12, 25),
    "New Year": lambda days: on_date(days, 1, 1),
    "Juneteenth": lambda days: observed(days, 6, 19),
    "day after Thanksgiving": _after_thanksgiving,
    "Fridays of Christmas or New Year": lambda days: _holidays(days) & (weekdays(days) == 5),
    "Sundays before Christmas or New Year": lambda days: (
        _holidays(days + 1) & (weekdays(days) == 7)
    ),
}
