"""Write and forget definitions and schedules, as people declare them.

When a schedule is next due, what became of its due times and its pauses belong to
ingestion.store.schedules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, connection, transaction
from psycopg.errors import UniqueViolation

from ingestion.domain.errors import UnknownDefinition, UnknownSchedule
from ingestion.models import JobDefinition, Schedule


def insert_definition(**columns: Any) -> int | None:
    """Add a definition and return its id; None where the name is taken."""
    return _insert(JobDefinition(**columns))


def insert_schedule(**columns: Any) -> int | None:
    """Add a schedule and return its id; None where the name is taken."""
    return _insert(Schedule(**columns))


def _insert(row: JobDefinition | Schedule) -> int | None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        # Nothing but the name is unique in either table.
        if isinstance(error.__cause__, UniqueViolation):
            return None
        raise
    return int(row.pk)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Hold the id of what was forgotten, and how much hung on it: schedules, or slots."""

    id: int
    count: int


def delete_definition(name: str) -> Forgotten:
    """Forget a definition, its schedules and their slots; return how many schedules it had.

    Jobs that it started stay. Raises UnknownDefinition.
    """
    found = JobDefinition.objects.filter(name=name).first()
    if found is None:
        raise UnknownDefinition(name)
    schedules = Schedule.objects.select_for_update().filter(definition=found).order_by("id")
    ids = list(schedules.values_list("id", flat=True))
    _forget_ledgers(ids)
    forgotten = Forgotten(found.pk, len(ids))
    found.delete()
    return forgotten


def delete_schedule(name: str) -> Forgotten:
    """Forget a schedule and its slots; return how many slots it had.

    Jobs that it started stay. Raises UnknownSchedule.
    """
    found = Schedule.objects.select_for_update().filter(name=name).first()
    if found is None:
        raise UnknownSchedule(name)
    forgotten = Forgotten(found.pk, _forget_ledgers([found.pk]))
    found.delete()
    return forgotten


def _forget_ledgers(schedule_ids: list[int]) -> int:
    """Empty the ledgers of locked schedules: the ORM would read each of their rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE job SET slot_id = NULL"
            " WHERE slot_id IN (SELECT id FROM slot WHERE schedule_id = ANY(%s))",
            [schedule_ids],
        )
        cursor.execute("DELETE FROM signal_match WHERE schedule_id = ANY(%s)", [schedule_ids])
        cursor.execute("DELETE FROM slot WHERE schedule_id = ANY(%s)", [schedule_ids])
        return int(cursor.rowcount)
