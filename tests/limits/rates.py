"""Fetch under a rate limit and see at the simulator what arrived."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from providers.base import RateLimit
from providers.types import Timeframe
from tests.recovery.field import Field, day


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Hold what the simulator saw: stamps taken before any delay, and broken limits."""

    at: list[float]
    violations: int
    repeated: int

    def used(self, limit: RateLimit, *, after: float = 0.0) -> float:
        """Return the share of the allowed rate that was used `after` seconds from the first on."""
        steady = [at for at in self.at if at >= self.at[0] + after]
        rate = (len(steady) - 1) / (steady[-1] - steady[0])
        return rate / (limit.n / limit.window.total_seconds())


def fetch_at(field: Field, limit: RateLimit, *, seconds: float) -> Arrivals:
    """Let the running workers fetch from polygon under a limit for some seconds."""
    control = field.simulator.control
    control.limit("polygon", (limit.n, limit.window.total_seconds()))
    control.reset()
    field.set_account("polygon", max_in_flight=32, limits=[limit])
    job = field.open(
        provider="polygon",
        # Prices that nobody has asked for yet.
        symbols=tuple(f"RATE{len(field.jobs)}{time.monotonic_ns()}{one}" for one in range(24)),
        timeframes=(Timeframe.D1,),
        start=day("2000-01-01"),
        end=day("2013-03-01"),
        slice_span=timedelta(days=7),
        max_concurrency=64,
        slices_per_round=64,
    )
    deadline = time.monotonic() + 60
    while not field.sql("SELECT 1 FROM attempt WHERE job_id = %s LIMIT 1", job):
        assert time.monotonic() < deadline, field.states()
        time.sleep(0.05)
    time.sleep(seconds)
    seen = control.stats(window=limit.window.total_seconds(), arrivals=True)["polygon"]
    return Arrivals(
        at=sorted(seen["arrivals"]),
        violations=seen["violations"],
        repeated=seen["identical_requests"]["extra"],
    )
