"""Write for people and for programs: times in UTC with a Z, JSON, tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Final

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

# Wide enough that nothing is cut where no terminal sets a width.
_WIDTH_IN_PIPES: Final = 200
NOTHING: Final = "-"


def out_console() -> Console:
    """Return a console on standard output; what is piped is plain and never cut."""
    width = None if sys.stdout.isatty() else _WIDTH_IN_PIPES
    return Console(highlight=False, width=width, markup=False)


def error_console() -> Console:
    """Return a console on standard error, for progress and hints."""
    width = None if sys.stderr.isatty() else _WIDTH_IN_PIPES
    return Console(stderr=True, highlight=False, width=width, markup=False)


def print_json(value: object) -> None:
    """Print one JSON document with times as ISO 8601 in UTC and spans in seconds."""
    click.echo(to_json(value))


def to_json(value: object) -> str:
    """Spell one JSON document with times as ISO 8601 in UTC and spans in seconds."""
    return json.dumps(value, indent=2, default=_plain)


def _plain(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case datetime():
            return iso(value)
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def iso(moment: datetime) -> str:
    """Spell a moment as 2024-01-31T14:30:00Z, with microseconds where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def when(moment: datetime | None) -> str:
    """Spell a moment for people: 2024-01-31 14:30:00Z, or only the date at midnight."""
    if moment is None:
        return NOTHING
    utc = moment.astimezone(UTC)
    if (utc.hour, utc.minute, utc.second) == (0, 0, 0):
        return f"{utc:%Y-%m-%d}"
    return f"{utc:%Y-%m-%d %H:%M:%S}Z"


def span(seconds: float) -> str:
    """Spell a duration: 0.4 s, 12 s, 20 min, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two_units(whole // 60, "min", whole % 60, "s")
    return _two_units(whole // 3600, "h", whole % 3600 // 60, "min")


def _two_units(large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = f" {small} {small_unit}" if small else ""
    return f"{large} {large_unit}{rest}"


def count(number: int, noun: str) -> str:
    """Spell a number with its noun: 1 slice, 1,200 slices."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{'' if number == 1 or noun == 'series' else plural}"


def share(part: int, whole: int) -> str:
    """Spell a share as a percentage: 99.5%."""
    return f"{part / whole:.1%}" if whole else NOTHING


def table(*columns: str, numeric: frozenset[str] = frozenset(), title: str | None = None) -> Table:
    """Begin a table; columns named in `numeric` align right."""
    made = Table(
        box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, show_edge=False
    )
    for column in columns:
        made.add_column(column, justify="right" if column in numeric else "left", overflow="fold")
    return made
