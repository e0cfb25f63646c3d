"""Fire what is due: every due time gets its one disposition, and fired ones their job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ingestion.services.fire_locked import fire_locked
from ingestion.services.pause_schedule import pause_failing
from ingestion.services.refresh_calendars import refresh_calendars
from ingestion.store import schedules, signals
from ingestion.store.crashpoints import crash_point

SCHEDULES_PER_BATCH = 500


@dataclass(frozen=True, slots=True)
class FireReport:
    """Count what one batch did; `more` says that others may be due at once.

    `next_fire_at` is when the next schedule fires, None where none ever does.
    """

    schedules: int
    slots: int
    fired: int
    more: bool
    next_fire_at: datetime | None


def fire_schedules(
    *, now: datetime, egress: str = "default", limit: int = SCHEDULES_PER_BATCH
) -> FireReport:
    """Fire at most `limit` due schedules in one transaction.

    Any number of processes may do so at once: each takes schedules that no other has in hand. All
    or nothing of a batch is written, so that a death at any moment loses and doubles nothing.
    """
    pause_failing(now=now)
    signals.wake_waiting(now=now)
    with transaction.atomic():
        rows = schedules.lock_due(now=now, limit=limit)
        if not rows:
            return FireReport(0, 0, 0, more=False, next_fire_at=schedules.next_fire_at())
        # Whoever changed a calendar has reckoned these rows anew: behind their locks it is known.
        refresh_calendars()
        counted = fire_locked(rows, now=now, egress=egress)
        crash_point("fire.before_commit")
    crash_point("fire.after_commit")
    return FireReport(
        schedules=len(rows),
        slots=counted.slots,
        fired=counted.fired,
        more=counted.more or len(rows) == limit,
        next_fire_at=schedules.next_fire_at(),
    )
