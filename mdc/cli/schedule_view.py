"""How schedules look: times of the venue beside UTC, tables and JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rich.table import Table

from ingestion.domain.due_notes import by_clock
from ingestion.domain.rules import span_words
from ingestion.services.list_schedules import Listed
from ingestion.services.show_schedule import Outlook, Shown, Upcoming
from ingestion.store.schedule_reads import ScheduleView, SlotView
from mdc.cli.output import NOTHING, span, table, when
from mdc.cli.shapes import Shape

EXCLUDED: Final = "excluded, does not fire"


def plain_span(length: timedelta) -> str:
    """Spell a span as people type it: 20 min, 1 h."""
    return span_words(round(length.total_seconds()))


def note_of(one: Upcoming) -> str:
    """Say why a due time is odd, that it is excluded, and when it fires if not when it is due."""
    notes = [one.due.note] if one.due.note else []
    if one.excluded:
        notes.append(EXCLUDED)
    elif one.fires_at != one.due.at:
        notes.append(f"fires {span((one.fires_at - one.due.at).total_seconds())} later")
    return "; ".join(notes)


def outlook_table(outlook: Outlook) -> Table:
    """Lay out the next due times."""
    made = table("session", f"in {outlook.zone}", "UTC", "why")
    for one in outlook.upcoming:
        made.add_row(
            str(one.due.session or NOTHING),
            by_clock(one.due.at, outlook.zone),
            when(one.due.at),
            note_of(one),
        )
    return made


def slots_table(slots: tuple[SlotView, ...], zone: str) -> Table:
    """Lay out what became of due times."""
    made = table("due", f"in {zone}", "disposition", "job", "reason")
    for one in slots:
        job = NOTHING
        if one.job_id is not None:
            job = f"{one.job_id} {one.job_outcome or one.job_state}"
        into = f"into {when(one.into)}" if one.into else ""
        reason = "; ".join(part for part in (into, one.reason) if part)
        made.add_row(when(one.due), by_clock(one.due, zone), one.disposition.value, job, reason)
    return made


def state_words(schedule: ScheduleView) -> str:
    """Say how a schedule stands, who paused it and why."""
    if schedule.state == "paused":
        by = f" by {schedule.paused_by}" if schedule.paused_by else ""
        why = f": {schedule.note}" if schedule.note else ""
        return f"paused{by} since {when(schedule.paused_at)}{why}"
    if schedule.state == "disabled":
        return f"its definition {schedule.definition} is disabled"
    return "waits for its signal" if schedule.listens else schedule.state


def listed_shape(listed: Listed) -> Shape:
    """Shape one line of `schedule list`."""
    return {**schedule_shape(listed.schedule), "last": slot_shape(listed.last)}


def shown_shape(shown: Shown) -> Shape:
    """Shape `schedule show`."""
    return {
        **schedule_shape(shown.schedule),
        **outlook_shape(shown.outlook),
        "warning": shown.warning or None,
        "slots": [slot_shape(one) for one in shown.slots],
        "last_30_days": {one.value: number for one, number in shown.counts.items()},
    }


def outlook_shape(outlook: Outlook) -> Shape:
    """Shape the next due times."""
    return {
        "zone": outlook.zone,
        "next": [
            {
                "due": one.due.at,
                "local": one.due.at.astimezone(ZoneInfo(outlook.zone)).isoformat(),
                "session": one.due.session,
                "fires_at": one.fires_at,
                "excluded": one.excluded,
                "note": one.due.note or None,
            }
            for one in outlook.upcoming
        ],
        "ends": outlook.ends or None,
    }


def schedule_shape(one: ScheduleView) -> Shape:
    """Shape what is declared of a schedule and where it stands."""
    return {
        "schedule": one.name,
        "definition": one.definition,
        "action": one.action,
        "rule": one.text,
        "words": one.words,
        "tz": one.tz,
        "venue": one.venue or None,
        "state": one.state,
        "next_due_at": one.next_due_at,
        "next_fire_at": one.next_fire_at,
        "last_fired_at": one.last_fired_at,
        "overlap": one.overlap,
        "catchup": one.catchup,
        "max_lateness": one.max_lateness,
        "jitter": one.jitter,
        "cooldown": one.cooldown,
        "gather": one.gather,
        "starts_at": one.starts_at,
        "ends_at": one.ends_at,
        "exclusions": list(one.exclusions),
        "pause_after_failures": one.pause_after_failures,
        "failures": one.failures,
        "paused_at": one.paused_at,
        "paused_by": one.paused_by or None,
        "note": one.note or None,
    }


def slot_shape(one: SlotView | None) -> Shape | None:
    """Shape what became of one due time."""
    if one is None:
        return None
    return {
        "due": one.due,
        "session": one.session,
        "disposition": one.disposition,
        "decided_at": one.decided_at,
        "into": one.into,
        "reason": one.reason or None,
        "job_id": one.job_id,
        "job_state": one.job_state,
        "job_outcome": one.job_outcome,
    }
