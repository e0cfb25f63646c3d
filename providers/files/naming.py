"""What the path of a file says of its content."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from providers.errors import UnknownTimeframe
from providers.files.errors import BadLayout
from providers.types import Timeframe

SUFFIXES: Final = (".csv.gz", ".tsv.gz", ".txt.gz", ".csv", ".tsv", ".txt", ".parquet", ".pq")
_WORDS: Final = frozenset({"daily", "weekly", "monthly"})
_FIELDS: Final = {
    "symbol": r"(?P<symbol>[^/]+?)",
    "timeframe": r"(?P<timeframe>[0-9]*[A-Za-z]+)",
    "date": r"(?P<date>\d{4}-\d{2}-\d{2}|\d{8})",
}


@dataclass(frozen=True, slots=True)
class Named:
    """Hold what a path states; None where it says nothing."""

    symbol: str | None = None
    timeframe: Timeframe | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True)
class NamePattern:
    """Read paths by a pattern with {symbol}, {timeframe}, {date} and wildcards."""

    text: str
    compiled: re.Pattern[str] | None

    @classmethod
    @functools.lru_cache(maxsize=256)
    def parse(cls, text: str) -> NamePattern:
        """Compile a pattern; an empty one reads usual names. Raises BadLayout."""
        if not text:
            return cls(text, None)
        expression, seen = "", set[str]()
        for part in re.split(r"(\{[^}]*\}|\*\*/|\*)", text.removeprefix("./")):
            if part == "**/":
                expression += r"(?:.*/)?"
            elif part == "*":
                expression += r"[^/]*"
            elif part.startswith("{"):
                field = part[1:-1]
                if field not in _FIELDS or field in seen:
                    raise BadLayout(
                        f"the name pattern {text!r} may have {{symbol}}, {{timeframe}} and"
                        " {date}, each once"
                    )
                seen.add(field)
                expression += _FIELDS[field]
            else:
                expression += re.escape(part)
        return cls(text, re.compile(expression))

    def read(self, relative: str) -> Named | None:
        """Return what a path says, or None where it does not fit the pattern.

        A pattern without a slash is held against the file's name alone, one without an ending
        against the name without its own.
        """
        if self.compiled is None:
            return _usual(stem_of(relative))
        subject = relative if "/" in self.text else relative.rpartition("/")[2]
        if not self.text.lower().endswith(SUFFIXES):
            subject = strip_suffix(subject)
        found = self.compiled.fullmatch(subject)
        if found is None:
            return None
        return _named(found.groupdict())


def strip_suffix(path: str) -> str:
    """Return a path without the ending that says how it is written."""
    for suffix in SUFFIXES:
        if path.lower().endswith(suffix):
            return path[: -len(suffix)]
    return path


def stem_of(relative: str) -> str:
    """Return a file's name without folder and ending."""
    return strip_suffix(relative.rpartition("/")[2])


def _named(groups: dict[str, str | None]) -> Named | None:
    text, day = groups.get("timeframe"), groups.get("date")
    try:
        return Named(
            symbol=groups.get("symbol"),
            timeframe=Timeframe.parse(text) if text else None,
            day=_read_day(day) if day else None,
        )
    except (UnknownTimeframe, ValueError):
        return None


def _usual(stem: str) -> Named:
    """Read AAPL, AAPL_1d, AAPL-1d, 2024-01-31 and 20240131."""
    if re.fullmatch(_FIELDS["date"], stem):
        try:
            return Named(day=_read_day(stem))
        except ValueError:
            return Named(symbol=stem)
    head, _, tail = stem.replace("-", "_").rpartition("_")
    if head and (any(letter.isdigit() for letter in tail) or tail.lower() in _WORDS):
        try:
            return Named(symbol=stem[: len(head)], timeframe=Timeframe.parse(tail))
        except UnknownTimeframe:
            pass
    return Named(symbol=stem)


def _read_day(text: str) -> date:
    form = "%Y-%m-%d" if "-" in text else "%Y%m%d"
    return datetime.strptime(text, form).date()  # noqa: DTZ007 a calendar date has no zone
