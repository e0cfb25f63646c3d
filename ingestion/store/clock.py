"""The one clock that leases, budgets and audit share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from ingestion.domain.windows import to_us

_NARROW_SECONDS = 0.01
_READINGS = 3


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Hold PostgreSQL's time in µs, read between two moments of the monotonic clock."""

    now_us: int
    before: float
    after: float

    def moments(self, at_us: int) -> tuple[float, float]:
        """Return between which monotonic moments a time of PostgreSQL's clock lies."""
        ahead = (at_us - self.now_us) / 1e6
        return self.before + ahead, self.after + ahead


def read_clock() -> ClockReading:
    """Read PostgreSQL's clock as sharply as a few tries allow; only outside a transaction.

    A bare read is over in less than a millisecond, while a whole claim may wait long for locks.
    """
    sharpest: ClockReading | None = None
    for _ in range(_READINGS):
        before = time.monotonic()
        reading = ClockReading(to_us(database_now()), before, time.monotonic())
        if sharpest is None or reading.after - before < sharpest.after - sharpest.before:
            sharpest = reading
        if sharpest.after - sharpest.before <= _NARROW_SECONDS:
            break
    assert sharpest is not None
    return sharpest


def database_now() -> datetime:
    """Return PostgreSQL's clock, UTC; it moves on inside a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    assert isinstance(now, datetime)
    return now
