"""What the demo does: symbols, dates, what is withheld, and where the providers fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from providers.base import RateLimit

YAHOO: Final = "yahoo"
POLYGON: Final = "polygon"
PROVIDERS: Final = (YAHOO, POLYGON)
# Accepted by the simulator alone, so it is no secret.
POLYGON_KEY: Final = "key-of-the-simulated-polygon"


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Hold one demo.

    `start` and `end` are half-open; `withheld` names, per symbol, sessions that yahoo leaves out
    until the reconciliation; `limit` and `in_flight` are what each provider allows; `latency` is
    seconds per answer; `kill_at` is the share of the second job's slices after which the worker
    is killed (None: never); `patience` is how long one job may take.
    """

    symbols: tuple[str, ...]
    start: datetime
    end: datetime
    slice_span: timedelta
    withheld: Mapping[str, tuple[date, ...]]
    limit: RateLimit
    in_flight: int
    latency: Mapping[str, float]
    faults: tuple[Mapping[str, Any], ...]
    kill_at: float | None
    patience: timedelta = timedelta(minutes=2)


# The nth request of each kind is hit, whatever the machine's speed: every run meets the same.
_FAULTS: Final[tuple[Mapping[str, Any], ...]] = (
    {"kind": "status", "provider": YAHOO, "status": 503, "nth": (10, 65)},
    {"kind": "reset", "provider": YAHOO, "nth": (25,)},
    {"kind": "status", "provider": YAHOO, "status": 429, "retry_after": 1, "nth": (80,)},
    {"kind": "status", "provider": POLYGON, "status": 500, "nth": (5, 50)},
    {"kind": "status", "provider": POLYGON, "status": 502, "nth": (30,)},
    # On a fast machine the job would be over before anybody could kill its worker.
    {"kind": "hang", "provider": POLYGON, "seconds": 20, "nth": (55,)},
    {"kind": "status", "provider": POLYGON, "status": 429, "retry_after": 1, "nth": (85,)},
)

# The day Lehman Brothers failed, the flash crash, and the first day after hurricane Sandy.
_FAMOUS_DAYS: Final = (date(2008, 9, 15), date(2010, 5, 6), date(2012, 10, 31))

FULL: Final = DemoPlan(
    symbols=("AAPL", "FB", "GOOG", "IBM", "MSFT"),
    start=datetime(2000, 3, 1, tzinfo=UTC),
    end=datetime(2013, 3, 2, tzinfo=UTC),
    slice_span=timedelta(days=240),
    withheld=MappingProxyType({"AAPL": _FAMOUS_DAYS, "MSFT": _FAMOUS_DAYS}),
    limit=RateLimit(n=40, window=timedelta(seconds=1)),
    in_flight=8,
    latency=MappingProxyType({YAHOO: 0.1, POLYGON: 0.25}),
    faults=_FAULTS,
    kill_at=0.6,
)
