"""Read what people type: dates, lists, timeframes, rates and spans."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import click

from mdc.cli.spoken import SpokenUsage
from mdc.cli.words import split_list
from providers.base import RateLimit
from providers.errors import UnknownTimeframe
from providers.types import Timeframe

_YEARS: Final = range(1800, 2200)
_LONGEST_DELAY: Final = 86_400
_UNITS: Final = {
    "s": timedelta(seconds=1),
    "sec": timedelta(seconds=1),
    "second": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "minute": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "hour": timedelta(hours=1),
    "d": timedelta(days=1),
    "day": timedelta(days=1),
    "w": timedelta(weeks=1),
    "week": timedelta(weeks=1),
}


@dataclass(frozen=True, slots=True)
class Given:
    """Keep a moment as it was typed, so that answers can use the same words.

    A date stands for the whole day, a time for that very instant; both are UTC.
    """

    text: str
    moment: datetime
    whole_day: bool

    @property
    def as_start(self) -> datetime:
        """Return the inclusive start of a window."""
        return self.moment

    @property
    def as_end(self) -> datetime:
        """Return the exclusive end of a window: after the day, or the instant itself."""
        return self.moment + timedelta(days=1) if self.whole_day else self.moment


def moment(text: str) -> Given:
    """Read 2024-01-31 or 2024-01-31T09:30Z; a time without an offset is UTC."""
    try:
        given = _given(text.strip())
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is no date; write 2024-01-31 or 2024-01-31T09:30Z"
        ) from None
    if given.moment.year not in _YEARS:
        raise click.BadParameter(f"{text} lies outside the years that mdc knows")
    return given


def _given(text: str) -> Given:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        instant = datetime.fromisoformat(text)
        instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        return Given(text, instant.astimezone(UTC), whole_day=False)
    return Given(text, datetime.combine(day, time(), UTC), whole_day=True)


def rate(text: str) -> RateLimit:
    """Read 5/s, 60/min, 1000/day or 10/30s."""
    found = re.fullmatch(
        r"([1-9]\d{0,6})\s*/\s*([1-9]\d{0,4})?\s*([a-z]+?)s?", text.strip().lower()
    )
    unit = _UNITS.get(found[3]) if found else None
    if found is None or unit is None:
        raise click.BadParameter(f"{text!r} is no rate; write 5/s, 60/min or 1000/day")
    return RateLimit(n=int(found[1]), window=unit * int(found[2] or 1))


def span(text: str) -> timedelta:
    """Read 30d, 2h, 90min or 4w; m is minute, as in timeframes."""
    found = re.fullmatch(r"([1-9]\d{0,4})\s*([a-z]+?)s?", text.strip().lower())
    unit = _UNITS.get(found[2]) if found else None
    if found is None or unit is None:
        raise click.BadParameter(f"{text!r} is no span; write 30d, 2h or 90min")
    return unit * int(found[1])


def delay(text: str) -> float:
    """Read seconds (0.5, 30) or a span (2min) and return seconds."""
    cleaned = text.strip()
    if re.fullmatch(r"\d{1,6}(\.\d{1,3})?", cleaned):
        seconds = float(cleaned)
    else:
        try:
            seconds = span(cleaned).total_seconds()
        except click.BadParameter:
            raise click.BadParameter(
                f"{text!r} is no delay; write seconds such as 0.5, or a span such as 2min"
            ) from None
    if not 0 < seconds <= _LONGEST_DELAY:
        raise click.BadParameter(
            f"a delay of {text} cannot be kept; give more than 0 s, at most 1d"
        )
    return seconds


def share(text: str) -> float:
    """Read 5% or 0.05: above nothing, at most all."""
    found = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?)\s*(%?)", text.strip())
    part = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0 < part <= 1:
        raise click.BadParameter(f"{text!r} is no share; write 5% or 0.05, at most 100%")
    return part


def timeframes(text: str) -> tuple[Timeframe, ...]:
    """Read one or several timeframes, separated by commas."""
    try:
        return tuple(Timeframe.parse(part) for part in split_list(text))
    except UnknownTimeframe as error:
        raise click.BadParameter(str(error)) from None


def check_order(*, start: Given | None, end: Given | None) -> None:
    """Refuse a window that ends before it starts."""
    if start is not None and end is not None and end.as_end <= start.as_start:
        raise SpokenUsage(f"the end {end.text} lies before the start {start.text}; swap them")


def check_past(*, start: Given, end: Given | None, now: datetime) -> None:
    """Refuse a window that begins, or ends on a day, after today."""
    if start.as_start >= now:
        raise SpokenUsage(f"the start {start.text} lies in the future; give a past date")
    if end is not None and end.moment > now:
        raise SpokenUsage(
            f"the end {end.text} lies in the future; leave --end out to fetch until now"
        )
