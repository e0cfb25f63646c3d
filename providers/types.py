"""Vocabulary shared by every layer: timeframes, series identity, queries and pages."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from providers.errors import UnknownTimeframe
from providers.instruments import CorporateAction

if TYPE_CHECKING:
    from providers.bars import Bars


class Timeframe(enum.StrEnum):
    """Name a bar length; `M` in user input always means minute, a month is `1mo`."""

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H4 = "4h"
    D1 = "1d"
    W1 = "1w"
    MO1 = "1mo"

    @classmethod
    def parse(cls, text: str) -> Timeframe:
        """Read `1D`, `5M`, `1min`, `60min`, `1month` and the canonical names, in any case.

        Raises UnknownTimeframe, which lists what is known.
        """
        cleaned = text.strip().lower()
        try:
            return cls(_TIMEFRAME_ALIASES.get(cleaned, cleaned))
        except ValueError:
            raise UnknownTimeframe(text, known=[member.value for member in cls]) from None

    @property
    def duration(self) -> timedelta:
        """Return the nominal length (a month counts as 31 days)."""
        return _TIMEFRAME_DURATIONS[self]

    @property
    def is_intraday(self) -> bool:
        """Tell whether bars are shorter than a session."""
        return self in _INTRADAY


_TIMEFRAME_ALIASES = {
    "1min": "1m",
    "5min": "5m",
    "15min": "15m",
    "30min": "30m",
    "60min": "1h",
    "60m": "1h",
    "240min": "4h",
    "240m": "4h",
    "1hour": "1h",
    "4hour": "4h",
    "d": "1d",
    "1day": "1d",
    "daily": "1d",
    "w": "1w",
    "1wk": "1w",
    "1week": "1w",
    "weekly": "1w",
    "1month": "1mo",
    "monthly": "1mo",
}
_TIMEFRAME_DURATIONS = {
    Timeframe.M1: timedelta(minutes=1),
    Timeframe.M5: timedelta(minutes=5),
    Timeframe.M15: timedelta(minutes=15),
    Timeframe.M30: timedelta(minutes=30),
    Timeframe.H1: timedelta(hours=1),
    Timeframe.H4: timedelta(hours=4),
    Timeframe.D1: timedelta(days=1),
    Timeframe.W1: timedelta(days=7),
    Timeframe.MO1: timedelta(days=31),
}
_INTRADAY = frozenset(
    {Timeframe.M1, Timeframe.M5, Timeframe.M15, Timeframe.M30, Timeframe.H1, Timeframe.H4}
)


class Adjustment(enum.StrEnum):
    """Name the price basis an adapter declares; two bases never share a series."""

    RAW = "raw"
    SPLIT = "split"
    SPLIT_DIV = "split_div"


class Hours(enum.StrEnum):
    """Name the part of the day a series claims to hold."""

    REGULAR = "regular"
    EXTENDED = "extended"


class Anchor(enum.StrEnum):
    """Name where intraday bars are counted from: the session open, or the full clock hour."""

    OPEN = "open"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class BarQuery:
    """Ask for one series over a half-open UTC window [start, end) in stamp space."""

    symbol: str
    vendor_symbol: str
    venue: str
    timeframe: Timeframe
    adjustment: Adjustment
    hours: Hours
    anchor: Anchor
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Credentials:
    """Carry one account's key; `repr` never shows it."""

    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """Describe one HTTP GET; secrets belong in `headers` whenever the provider takes them there."""

    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """Hold one HTTP answer; `headers` has lower-case names, `received_at` is UTC."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Hold one parsed answer.

    `next_token` is opaque and lives only within an attempt. `resume_from` is the first stamp not
    yet delivered, set only by providers that page in ascending order; it lets finished pages be
    committed before the last one. `proven_until` is the exclusive stamp up to which silence means
    "no bar"; None means up to the end of the query. `raw_row(i)` returns row i as the provider
    sent it, JSON-serialisable, for the quarantine. `actions` are the corporate actions with an
    ex-date inside the query's window, where the provider sends them along. `drift` says in a few
    sentences which fields of the payload the adapter does not know, or knows and misses.
    """

    bars: Bars
    next_token: str | None
    resume_from: datetime | None
    proven_until: datetime | None
    raw_row: Callable[[int], object]
    payload_sha: str
    payload_bytes: int
    actions: tuple[CorporateAction, ...] = ()
    drift: tuple[str, ...] = ()
