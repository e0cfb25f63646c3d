"""Compose what the page of one schedule shows: how it stands, what comes, what was."""

from __future__ import annotations

from typing import Any, Final

from django.utils.safestring import SafeString

from ingestion.admin.display import NOTHING, badge, instant, page_link, sentence
from ingestion.admin.job_page import Table
from ingestion.admin.schedule_actions import VERBS
from ingestion.domain.due_notes import by_clock
from ingestion.services.show_schedule import Outlook, Shown, Upcoming
from ingestion.store.schedule_reads import ScheduleView, SlotView

# Tone and sign of how a schedule stands.
_STATES: Final = {
    "on": ("success", "check"),
    "paused": ("warning", "pause"),
    "disabled": ("warning", "block"),
    "ended": ("default", "event_busy"),
}


def state_badge(schedule: ScheduleView) -> SafeString:
    """Show how a schedule stands."""
    tone, sign = _STATES[schedule.state]
    return badge(schedule.state, tone=tone, sign=sign)


def last_slot(slot: SlotView | None) -> SafeString | str:
    """Show what became of the last due time."""
    return badge(slot.disposition.value) if slot else NOTHING


def compose(shown: Shown) -> dict[str, Any]:
    """Return everything that the template of a schedule's page shows."""
    schedule = shown.schedule
    counts = ", ".join(f"{number:,} {one.value}" for one, number in shown.counts.items())
    return {
        "schedule": schedule,
        "badge": state_badge(schedule),
        "paused": _paused(schedule),
        "verbs": [verb for verb in VERBS.values() if verb.offered(schedule)],
        "warning": sentence(shown.warning) if shown.warning else "",
        "upcoming": _upcoming(shown.outlook),
        "ends": shown.outlook.ends,
        "slots": _slots(shown),
        "counts": counts or "nothing came due",
    }


def _paused(schedule: ScheduleView) -> str:
    if schedule.paused_at is None:
        return ""
    why = f": {schedule.note}" if schedule.note else ""
    return f"by {schedule.paused_by or 'somebody'} since {instant(schedule.paused_at)}{why}"


def _upcoming(outlook: Outlook) -> Table:
    return Table(
        headers=("Session", f"In {outlook.zone}", "UTC", "Fires", "Why"),
        rows=[
            [
                str(one.due.session or NOTHING),
                by_clock(one.due.at, outlook.zone),
                instant(one.due.at),
                _fires(one),
                one.due.note or NOTHING,
            ]
            for one in outlook.upcoming
        ],
    )


def _fires(one: Upcoming) -> str:
    if one.excluded:
        return "no: an excluded day"
    return "then" if one.fires_at == one.due.at else instant(one.fires_at)


def _slots(shown: Shown) -> Table:
    return Table(
        headers=("Due", f"In {shown.outlook.zone}", "What became of it", "Job", "Reason"),
        rows=[
            [
                instant(one.due),
                by_clock(one.due, shown.outlook.zone),
                badge(one.disposition.value),
                _job(one),
                one.reason or NOTHING,
            ]
            for one in shown.slots
        ],
        more=page_link("slot_changelist", "the whole ledger", schedule=shown.schedule.id),
    )


def _job(slot: SlotView) -> SafeString | str:
    if slot.job_id is None:
        return NOTHING
    stands = slot.job_outcome or slot.job_state
    return page_link("job_change", f"job {slot.job_id}, {stands}", slot.job_id)
