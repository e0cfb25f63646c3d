"""Faults as data: what a rule may select, and what it does to the requests it selects."""

from __future__ import annotations

import random
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

Scope = Literal["rule", "symbol", "request"]


class Rule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Select requests: the patterns say which count, the other fields which of those are hit.

    Counting is per `scope`: over all matching requests, per symbol, or per identical request.
    Counting starts behind the `after` first ones. Of several fields among `nth` (1-based), `every`,
    `first` and `probability` the first given one decides; without any, every request is hit.
    `times` bounds the hits in total.
    """

    name: str = ""
    provider: str = "*"
    symbol: str = "*"
    path: str = "*"
    timeframe: str = "*"
    scope: Scope = "rule"
    after: int = 0
    nth: tuple[int, ...] = ()
    every: int = 0
    first: int = 0
    probability: float | None = None
    times: int | None = None

    def selects(self, *, provider: str, symbol: str, path: str, timeframe: str) -> bool:
        """Tell whether a request counts for this rule at all."""
        return (
            fnmatchcase(provider, self.provider)
            and fnmatchcase(symbol, self.symbol)
            and fnmatchcase(path, self.path)
            and fnmatchcase(timeframe, self.timeframe)
        )

    def hits(self, count: int, rng: random.Random) -> bool:
        """Decide for the `count`-th matching request (1-based)."""
        count -= self.after
        if count <= 0:
            return False
        if self.nth:
            return count in self.nth
        if self.every:
            return count % self.every == 0
        if self.first:
            return count <= self.first
        return self.probability is None or rng.random() < self.probability


class AnswerRule(Rule):
    """Replace the answer; of several that hit one request the first configured wins."""


class Status(AnswerRule, tag="status"):
    """Answer with an error status, by default with the provider's own error body.

    `retry_after` is in seconds and sent as such, or as an HTTP date with `retry_after_as`.
    """

    status: int
    retry_after: float | None = None
    retry_after_as: Literal["seconds", "date"] = "seconds"
    body: str | None = None


class Empty(AnswerRule, tag="empty"):
    """Answer as the provider does where it holds nothing."""


class Garbage(AnswerRule, tag="garbage"):
    """Answer with HTML."""

    status: int = 200


class Hang(AnswerRule, tag="hang"):
    """Read the request and never answer; close after `seconds` if given."""

    seconds: float | None = None


class Reset(AnswerRule, tag="reset"):
    """Drop the connection without an answer."""


class WireRule(Rule):
    """Disturb how a good answer travels."""


class Latency(WireRule, tag="latency"):
    """Delay the answer by `seconds` plus a uniform share of `jitter` seconds; several add up."""

    seconds: float
    jitter: float = 0.0


class Drip(WireRule, tag="drip"):
    """Send the body in `chunks` equal pieces, `interval` seconds apart."""

    chunks: int = 10
    interval: float = 0.2


class Truncate(WireRule, tag="truncate"):
    """Cut the body after `fraction` of it.

    With `cut_connection` the Content-Length promises the whole body and the connection closes
    early; without it the answer is well-formed HTTP around half a JSON document.
    """

    fraction: float = 0.5
    cut_connection: bool = False


class RowRule(Rule):
    """Change the rows of a good answer; several are applied in configured order."""


class Duplicate(RowRule, tag="duplicate"):
    """Send `rows` rows twice."""

    rows: int = 1


class Conflict(RowRule, tag="conflict"):
    """Send `rows` rows twice, the second time with another close and volume."""

    rows: int = 1


class OutOfOrder(RowRule, tag="out_of_order"):
    """Send the rows shuffled, or newest first with `reverse`."""

    reverse: bool = False


class Forming(RowRule, tag="forming"):
    """Send the last row as it stood after `fraction` of its time."""

    fraction: float = 0.5


class BadOhlc(RowRule, tag="bad_ohlc"):
    """Send `rows` rows whose high lies below their low."""

    rows: int = 1


class Nulls(RowRule, tag="nulls"):
    """Send `rows` rows with null in every price and the volume."""

    rows: int = 1


class Withhold(RowRule, tag="withhold"):
    """Leave out sessions, named by date (YYYY-MM-DD), until the rule is removed."""

    dates: tuple[str, ...]


class Revise(RowRule, tag="revise"):
    """Multiply prices by `factor` and volume by `volume_factor`, for `dates` or for all rows."""

    dates: tuple[str, ...] = ()
    factor: float = 1.01
    volume_factor: float = 1.0


AnyRule = (
    Status
    | Empty
    | Garbage
    | Hang
    | Reset
    | Latency
    | Drip
    | Truncate
    | Duplicate
    | Conflict
    | OutOfOrder
    | Forming
    | BadOhlc
    | Nulls
    | Withhold
    | Revise
)
