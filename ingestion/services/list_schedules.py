"""List schedules with what became of their last due time."""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.store.definitions import read_definition
from ingestion.store.schedule_reads import ScheduleView, SlotView, last_slots, select_schedules


@dataclass(frozen=True, slots=True)
class Listed:
    """Hold a schedule and its last slot, None where it never came due."""

    schedule: ScheduleView
    last: SlotView | None


def list_schedules(*, definition: str | None = None) -> list[Listed]:
    """Return schedules by definition and name, in two queries. Raises UnknownDefinition."""
    if definition is not None:
        read_definition(definition)
    found = select_schedules(definition=definition)
    last = {one.schedule_id: one for one in last_slots([one.id for one in found], limit=1)}
    return [Listed(one, last.get(one.id)) for one in found]
