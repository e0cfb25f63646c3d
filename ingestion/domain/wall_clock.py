"""When the clock on a zone's wall matches five cron fields, over nights on which it is changed.

The meaning is cronsim's, which is Debian cron's. Where minute and hour are both given, each match
is due once: a time that the clock skips is due when the clock has gone past it, one that it shows
twice the first time. With a star in either, every instant that shows a match is due. The matches
of a clock that is never changed are cronsim's too; only the changes are laid over them here,
because stepping through them by the hour loses the matches of zones that change by half an hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from cronsim import CronSim

from ingestion.domain.windows import HOUR_US, SECOND_US, from_us, to_us
from providers.instants import offset_table

# No clock is further from UTC.
_FURTHEST_US: Final = 16 * HOUR_US
_ENDLESS: Final = 2**62


def cron_instants(expression: str, *, tz: str, after_us: int) -> Iterator[int]:
    """Yield the due instants in µs strictly after one, ascending.

    It ends where nothing matches for 50 years. Raises zoneinfo.ZoneInfoNotFoundError.
    """
    if is_time_of_day(expression):
        return _once_each(expression, tz, after_us)
    return _whenever_shown(expression, tz, after_us)


def is_time_of_day(expression: str) -> bool:
    """Tell whether an expression gives both minute and hour, without a star."""
    minute, hour = expression.split()[:2]
    return not minute.startswith("*") and not hour.startswith("*")


def matches(expression: str, shown_us: int) -> bool:
    """Tell whether a clock that shows this time, as µs of a day in UTC, shows a match."""
    first = next(CronSim(expression, from_us(shown_us - SECOND_US)), None)
    return first is not None and to_us(first) == shown_us


def change_at(us: int, tz: str) -> int:
    """Return by how many µs the clock is changed at this instant; 0 if it is not."""
    changes, offsets = offset_table(tz)
    place = int(np.searchsorted(changes, us))
    if place == len(changes) or changes[place] != us:
        return 0
    return int(offsets[place + 1] - offsets[place])


def shown_again(us: int, tz: str) -> bool:
    """Tell whether the clock will show this instant's time a second time."""
    changes, offsets = offset_table(tz)
    place = int(np.searchsorted(changes, us, side="right"))
    if place == len(changes):
        return False
    return bool(us + offsets[place] >= changes[place] + offsets[place + 1])


def _once_each(expression: str, tz: str, after_us: int) -> Iterator[int]:
    last = after_us
    offset, _ = _offset_at(after_us, tz)
    for shown in CronSim(expression, from_us(after_us + offset)):
        first = _first_showing(to_us(shown), tz)
        if first > last:
            last = first
            yield first


def _whenever_shown(expression: str, tz: str, after_us: int) -> Iterator[int]:
    last = after_us
    while last < _ENDLESS:
        offset, end = _offset_at(last, tz)
        for shown in CronSim(expression, from_us(last + offset)):
            if (instant := to_us(shown) - offset) >= end:
                break
            yield instant
        else:
            return
        # The change itself may show a match, and nothing matches between two seconds.
        offset, _ = _offset_at(end, tz)
        if matches(expression, end + offset):
            yield end
        last = end


def _offset_at(us: int, tz: str) -> tuple[int, int]:
    """Return the offset in force at an instant, and the instant of the next change."""
    changes, offsets = offset_table(tz)
    place = int(np.searchsorted(changes, us, side="right"))
    end = int(changes[place]) if place < len(changes) else _ENDLESS
    return int(offsets[place]), end


def _first_showing(shown_us: int, tz: str) -> int:
    """Return the first instant at which the clock shows this time or a later one."""
    instant = shown_us - _FURTHEST_US
    while True:
        offset, end = _offset_at(instant, tz)
        instant = max(shown_us - offset, instant)
        if instant < end:
            return instant
        instant = end
