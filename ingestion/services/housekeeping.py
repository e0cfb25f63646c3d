"""Do what nobody waits for: partitions ahead of time, executors long gone, outdated bases.

Schedules that sleep because a calendar ended are looked at again: a newer one may know more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from ingestion.services.doubt_rebased import doubt_rebased
from ingestion.services.recompute_fires import recompute_fires
from ingestion.store.leases import forget_silent_executors
from ingestion.store.partitions import ensure_partitions

YEARS_AHEAD = 5
SILENT_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class House:
    """Count what was done."""

    executors_forgotten: int
    series_doubted: int


def keep_house(*, now: datetime) -> House:
    """Run every slow sweep once."""
    with transaction.atomic():
        ensure_partitions(connection, first_year=1990, last_year=now.year + YEARS_AHEAD)
    with transaction.atomic():
        forgotten = forget_silent_executors(after=SILENT_FOR)
    recompute_fires(now=now)
    return House(executors_forgotten=forgotten, series_doubted=doubt_rebased(now=now))
