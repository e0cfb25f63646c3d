"""What travels between the HTTP server, the provider dialects and the faults."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from providers.bars import Bars
from providers.simulator.market import Market
from providers.types import Timeframe

JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Incoming:
    """Hold one HTTP request as read; `headers` has lower-case names."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @cached_property
    def path(self) -> str:
        """Return the decoded path."""
        return unquote(self.target.partition("?")[0])

    @cached_property
    def params(self) -> dict[str, str]:
        """Return the query parameters, the last one of each name."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


class Manner(enum.Enum):
    """Say how an answer is delivered."""

    PLAIN = "plain"
    HANG = "hang"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Say how an answer travels: seconds of delay, pieces, and where it breaks off."""

    manner: Manner = Manner.PLAIN
    delay: float = 0.0
    hang_seconds: float | None = None
    chunks: int = 1
    interval: float = 0.0
    keep_fraction: float = 1.0
    cut_connection: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """Hold one answer; the body travels as parts, so that cached ones are never copied."""

    status: int
    body: tuple[bytes, ...]
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery = Delivery()


@dataclass(frozen=True, slots=True)
class Ask:
    """Hold what a request to a provider asks for.

    `start` and `end` are inclusive microseconds of wire stamps, `key` identifies the request
    without its secrets, `options` is for the dialect alone.
    """

    provider: str
    symbol: str
    timeframe: Timeframe
    start: int
    end: int
    path: str
    key: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fetched:
    """Hold one page of bars, stamped in stamp space.

    `resume` is the wire stamp, in µs, of the first bar that did not fit, None on the last page.
    """

    bars: Bars
    resume: int | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """Hold the reusable part of a good answer, how many rows it has, and `resume` of its page."""

    body: bytes
    rows: int
    resume: int | None = None


@dataclass(frozen=True, slots=True)
class Deferred:
    """Hold a long answer: `work` may run on any thread, `finish` belongs on the event loop."""

    work: Callable[[], Rendered | Reply]
    finish: Callable[[Rendered | Reply], Reply]


class Refused(Exception):
    """Carry the provider's own answer to a request that it does not serve."""

    def __init__(self, reply: Reply, *, symbol: str = "?", timeframe: str = "?") -> None:
        super().__init__(f"refused with status {reply.status}")
        self.reply = reply
        self.symbol = symbol
        self.timeframe = timeframe


class Dialect(Protocol):
    """Speak one provider's wire format."""

    name: str
    prefix: str

    def read(self, incoming: Incoming, *, now: int) -> Ask:
        """Understand a request; raises Refused with what the provider would answer."""
        ...

    def authorise(self, incoming: Incoming) -> Reply | None:
        """Return the refusal of a missing or wrong key, None if the key is good."""
        ...

    def fetch(self, market: Market, ask: Ask, *, now: int) -> Fetched:
        """Return the page that answers; raises Refused where the provider answers otherwise."""
        ...

    def render(self, market: Market, ask: Ask, page: Fetched, *, now: int) -> Rendered:
        """Encode a page."""
        ...

    def finish(self, ask: Ask, rendered: Rendered, *, base_url: str) -> Reply:
        """Make the answer of the reusable part."""
        ...

    def error(self, status: int) -> Reply:
        """Return the provider's error body for a status."""
        ...
