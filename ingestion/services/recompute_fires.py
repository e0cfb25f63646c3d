"""Reckon anew when schedules are next due: after an edit, or a change of a calendar."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from ingestion.domain.actor import SYSTEM
from ingestion.domain.firing import next_fire
from ingestion.domain.rules import OnSignal
from ingestion.services.fire_locked import TROUBLE, sessions_of
from ingestion.store import audit, schedules
from ingestion.store.schedules import Advance, ScheduleRow


def recompute_fires(
    *, now: datetime, venue: str | None = None, schedule_ids: Collection[int] = ()
) -> int:
    """Set the next fires of schedules and return how many were looked at.

    `schedule_ids` are new ones, or ones whose rule, zone, venue, start or end was edited: they are
    due from `now` on. Those of a `venue` whose calendar changed are reckoned from where their due
    times are decided: one that the change moved into the past is then fired late, as the catch-up
    says. Without either, those are looked at that sleep because their next due time was not known.
    """
    if venue is not None:
        ids, edited = schedules.ids_of_venue(venue), False
    elif schedule_ids:
        ids, edited = list(schedule_ids), True
    else:
        ids, edited = schedules.ids_without_next(), False
    if not ids:
        return 0
    with transaction.atomic():
        rows = schedules.lock_schedules(ids)
        steps = [_reckon(row, now=now, edited=edited) for row in rows]
        schedules.advance([step for step in steps if step is not None], now=now)
    return len(rows)


def _reckon(row: ScheduleRow, *, now: datetime, edited: bool) -> Advance | None:
    after = now if edited or row.decided_until is None else min(row.decided_until, now)
    try:
        timing = row.timing
        if isinstance(timing.rule, OnSignal) and not edited:
            return None
        fire = next_fire(timing, sessions=sessions_of(row, timing), after=after)
    except TROUBLE as error:
        fire = None
        if row.next_due_at is not None or edited:
            _tell(row, str(error))
    return Advance(
        schedule_id=row.id,
        next_due=fire.due.at if fire else None,
        next_fire=fire.at if fire else None,
        decided_until=after,
    )


def _tell(row: ScheduleRow, why: str) -> None:
    audit.record(
        actor=SYSTEM,
        action="schedule.stop",
        object_type="schedule",
        object_id=row.id,
        reason=why,
    )
