"""Backfills from a provider that counts requests, and what to wait for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from providers.base import RateLimit
from providers.simulator.process import SimulatorControl
from providers.types import Timeframe
from tests.recovery.field import Field, day

PROVIDER = "polygon"
# The simulator has prices, real or invented, for every session in here.
DAYS = {"start": day("2004-01-01"), "end": day("2013-01-01")}
WEEK = timedelta(days=7)


def backfill(field: Field, symbols: Sequence[str], **request: Any) -> int:
    """Open a backfill of daily bars, a slice a week, and return its id."""
    wanted = DAYS | {
        "provider": PROVIDER,
        "symbols": tuple(symbols),
        "timeframes": (Timeframe.D1,),
        "slice_span": WEEK,
        "max_concurrency": 64,
        "slices_per_round": 64,
    }
    return field.open(**(wanted | request))


def fresh_symbols(count: int) -> list[str]:
    """Make up symbols that no other test has asked for."""
    return [f"T{uuid.uuid4().hex[:8].upper()}" for _ in range(count)]


def restrict(field: Field, *limits: RateLimit, max_in_flight: int = 48) -> SimulatorControl:
    """Give the account these limits, and let the provider count what breaks them."""
    control = field.simulator.control
    control.disarm()
    control.reset()
    control.limit(PROVIDER, *((one.n, one.window.total_seconds()) for one in limits))
    field.set_account(PROVIDER, max_in_flight=max_in_flight, limits=limits)
    return control


def wait_for(what: str, condition: Callable[[], bool], *, within: float) -> float:
    """Return the seconds until a condition held; an AssertionError names what did not come."""
    begun = time.monotonic()
    while not condition():
        seconds = time.monotonic() - begun
        assert seconds < within, f"{what}: not within {within:g} s"
        time.sleep(0.2)  # seldom enough to leave the processor to the workers
    return time.monotonic() - begun
