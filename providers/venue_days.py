"""Find the days that venue rules speak of by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from datetime import date
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DayNumbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_EPOCH: Final = date(1970, 1, 1).toordinal()


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


def _israel(days: DayNumbers, feasts: tuple[tuple[str, tuple[int, ...]], ...]) -> Mask:
    """Tell which days lie the given number of days after a feast of the Hebrew calendar."""
    # Its functions still tell the truth; what the package makes of them under pandas 3 does not.
    tase: Any = importlib.import_module("exchange_calendars.tase_holidays")
    dates = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    found = [
        getattr(tase, feast)(year).to_pydate().toordinal() - _EPOCH + shift
        for year in range(int(dates.min()), int(dates.max()) + 1)
        for feast, shifts in feasts
        for shift in shifts
    ]
    return np.isin(days, found)


def _holidays(days: DayNumbers) -> Mask:
    return on_date(days, 12, 25) | on_date(days, 1, 1)


# With their eves (-1), second days and what follows.
_FEASTS: Final = (
    ("purim", (0,)),
    ("passover", (-1, 0, 5, 6)),
    ("memorial_day", (0, 1)),
    ("pentecost", (-1, 0)),
    ("fast_day", (0,)),
    ("new_year", (-1, 0, 1)),
    ("yom_kippur", (-1, 0)),
    ("sukkoth", (-1, 0)),
    ("simchat_torah", (-1, 0)),
)
_HALF_FEASTS: Final = (("passover", (1, 2, 3, 4)), ("sukkoth", (1, 2, 3, 4, 5)))

NAMED: Final[dict[str, Callable[[DayNumbers], Mask]]] = {
    "Fridays": lambda days: weekdays(days) == 5,
    "Saturdays": lambda days: weekdays(days) == 6,
    "Sundays": lambda days: weekdays(days) == 7,
    "Christmas Eve": lambda days: on_date(days, 12, 24),
    "Christmas": lambda days: on_date(days, 12, 25),
    "New Year": lambda days: on_date(days, 1, 1),
    "feasts of Israel": lambda days: _israel(days, _FEASTS),
    "half feasts of Israel": lambda days: _israel(days, _HALF_FEASTS),
    "Juneteenth": lambda days: observed(days, 6, 19),
    "day after Thanksgiving": _after_thanksgiving,
    "Fridays of Christmas or New Year": lambda days: _holidays(days) & (weekdays(days) == 5),
    "Sundays before Christmas or New Year": lambda days: (
        _holidays(days + 1) & (weekdays(days) == 7)
    ),
}
