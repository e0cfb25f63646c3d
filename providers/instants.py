"""Convert between datetimes, microseconds and local dates, for single values and columns."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from providers.sessions import DAY_US, Stamps
from providers.types import Timeframe

_SECOND_US: Final = 1_000_000
_FIRST_MONDAY: Final = 4  # 1970-01-05, in days since the epoch
_WEEK: Final = 7 * 86_400
# The span of the transition tables; instants outside it take the nearest known offset.
_TABLE_FROM: Final = int(datetime(1960, 1, 1, tzinfo=UTC).timestamp())
_TABLE_UNTIL: Final = int(datetime(2061, 1, 1, tzinfo=UTC).timestamp())


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_us(instant: datetime) -> int:
    """Return the microseconds since the Unix epoch of an aware datetime, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def from_us(stamp: int) -> datetime:
    """Return the UTC datetime of a stamp in microseconds since the Unix epoch, exactly."""
    return _EPOCH + timedelta(microseconds=int(stamp))


def utc_offsets(instants: Stamps, zone: str) -> Stamps:
    """Return, for each instant in µs, the zone's offset from UTC in µs.

    Raises zoneinfo.ZoneInfoNotFoundError for a zone that does not exist.
    """
    transitions, offsets = offset_table(zone)
    return offsets[np.searchsorted(transitions, instants, side="right")]


def local_dates(instants: Stamps, zone: str) -> Stamps:
    """Return 00:00Z, in µs, of the calendar date that each instant has in the zone."""
    local = instants + utc_offsets(instants, zone)
    return local - local % DAY_US


def local_midnight(date_us: int, zone: str) -> int:
    """Return the instant in µs at which the date stamped `date_us` (00:00Z) begins in the zone."""
    day = datetime.fromtimestamp(date_us // _SECOND_US, tz=UTC)
    return int(day.replace(tzinfo=ZoneInfo(zone)).timestamp()) * _SECOND_US


@functools.lru_cache(maxsize=64)
def offset_table(zone: str) -> tuple[Stamps, Stamps]:
    """Return when a zone's clocks change, and its n + 1 offsets before and after, all in µs.

    Known from 1960 to 2060. Raises zoneinfo.ZoneInfoNotFoundError.
    """
    tz = ZoneInfo(zone)

    def offset(second: int) -> int:
        shift = datetime.fromtimestamp(second, tz=tz).utcoffset()
        return 0 if shift is None else round(shift.total_seconds())

    transitions: list[int] = []
    offsets = [offset(_TABLE_FROM)]
    for start in range(_TABLE_FROM, _TABLE_UNTIL, _WEEK):
        end = start + _WEEK
        if offset(end) == offsets[-1]:
            continue
        low, high = start, end
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
        transitions.append(high)
        offsets.append(offset(end))
    return (
        np.array(transitions, np.int64) * _SECOND_US,
        np.array(offsets, np.int64) * _SECOND_US,
    )


def floor_dates(dates: Stamps, timeframe: Timeframe) -> Stamps:
    """Return the stamp of the 1d, 1w or 1mo bar to which each 00:00Z date in µs belongs."""
    days = dates // DAY_US
    if timeframe is Timeframe.W1:
        days = days - (days - _FIRST_MONDAY) % 7
    elif timeframe is Timeframe.MO1:
        days = days.astype("M8[D]").astype("M8[M]").astype("M8[D]").astype(np.int64)
    return days * DAY_US


def floor_date(stamp: int, timeframe: Timeframe) -> int:
    """Return the stamp of the 1d, 1w or 1mo bar in whose span the stamp lies."""
    return int(floor_dates(np.array([stamp], np.int64), timeframe)[0])


def next_date(stamp: int, timeframe: Timeframe) -> int:
    """Return the stamp of the 1d, 1w or 1mo bar that follows the bar stamped `stamp`."""
    return floor_date(stamp + round(timeframe.duration / _MICROSECOND), timeframe)
