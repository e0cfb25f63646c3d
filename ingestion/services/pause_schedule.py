"""Pause schedules: what is due meanwhile is recorded as paused."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ingestion.domain.actor import SYSTEM, Actor
from ingestion.services.fire_locked import fire_locked
from ingestion.store import audit, schedules, signals
from ingestion.store.signals import NewSignal

PAUSED_SIGNAL = "schedule_paused"


def pause_schedule(
    name: str, *, now: datetime, actor: Actor, egress: str = "default", note: str = ""
) -> bool:
    """Pause a schedule and return whether it ran; what was due before fires first.

    Raises UnknownSchedule.
    """
    with transaction.atomic():
        row = schedules.lock_named(name)
        if row.paused_at is not None:
            return False
        if row.is_due(now):
            fire_locked([row], now=now, egress=egress)
        _pause(row.id, now=now, actor=actor, note=note)
        return True


def pause_failing(*, now: datetime) -> int:
    """Pause the schedules whose jobs failed as often in a row as they allow.

    Each is audited and raises the signal `schedule_paused`; returns how many there were.
    """
    with transaction.atomic():
        failing = schedules.lock_failing()
        for one in failing:
            note = f"paused by itself: {one.failures} jobs in a row have failed"
            _pause(one.schedule_id, now=now, actor=SYSTEM, note=note)
        signals.raise_many(
            [
                NewSignal(
                    name=PAUSED_SIGNAL,
                    symbols=one.symbols,
                    timeframe=one.timeframe,
                    evidence={"schedule": one.name, "failures": one.failures},
                    reason=f"{one.failures} jobs in a row have failed",
                )
                for one in failing
            ],
            actor=SYSTEM,
            now=now,
        )
    return len(failing)


def _pause(schedule_id: int, *, now: datetime, actor: Actor, note: str) -> None:
    schedules.set_paused(schedule_id, at=now, by=actor.name, note=note)
    audit.record(
        actor=actor,
        action="schedule.pause",
        object_type="schedule",
        object_id=schedule_id,
        reason=note,
    )
