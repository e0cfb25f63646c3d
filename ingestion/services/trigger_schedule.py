"""Start what a schedule would start, at once, because a person or a program asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.schedules import Disposition, ScheduleAction
from ingestion.services.choose_account import Accounts
from ingestion.store import audit, fired_jobs, inspections, schedules, signals
from ingestion.store.definitions import definition_series
from ingestion.store.fired_jobs import NewJob
from ingestion.store.schedules import NewSlot
from ingestion.store.sequences import draw_ids


@dataclass(frozen=True, slots=True)
class Triggered:
    """Name the slot, and the job that does it; None where the checks were told to look."""

    slot_id: int
    job_id: int | None


def trigger_schedule(
    name: str, *, now: datetime, actor: Actor, egress: str = "default", reason: str = ""
) -> Triggered:
    """Fire a schedule now, whatever its rule, pauses and open jobs say; its due times stay.

    The ledger gets a slot at `now`. What signals wait for the schedule is done by it. Raises
    UnknownSchedule, BadRequest, UnknownProvider.
    """
    with transaction.atomic():
        row = schedules.lock_named(name)
        found = signals.gathered([row.id])
        (slot_id,) = draw_ids("slot", 1)
        said = f"triggered by {actor.name}" + (f": {reason}" if reason else "")
        schedules.insert_slots(
            [NewSlot(slot_id, row.id, now, None, Disposition.FIRED, said)], now=now
        )
        job_id = None
        if row.action is ScheduleAction.INSPECT:
            held = definition_series([row.definition_id], every_provider=True)
            inspections.queue_all({one.id for one in held[row.definition_id]})
        else:
            (job_id,) = draw_ids("job", 1)
            waiting = found.get(row.id)
            chosen = Accounts(egress=egress).choose(row.definition, row.providers)
            job = NewJob(
                id=job_id,
                definition_id=row.definition_id,
                provider=chosen.provider,
                account_id=chosen.account_id,
                action=row.action,
                due=now,
                reason=f"{row.name}, {said}",
                symbols=waiting.symbols if waiting else (),
                window=waiting.window if waiting else None,
                slot_id=slot_id,
            )
            fired_jobs.insert_jobs([job], now=now, actor=actor)
        signals.mark_fired(dict.fromkeys(found, slot_id), found=found)
        schedules.note_trigger(row.id, at=now)
        audit.record(
            actor=actor,
            action="schedule.trigger",
            object_type="schedule",
            object_id=row.id,
            reason=reason,
        )
        return Triggered(slot_id, job_id)
