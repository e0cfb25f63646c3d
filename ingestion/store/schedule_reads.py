"""Read schedules and their slots, for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count

from ingestion.domain.errors import BadRule, UnknownSchedule
from ingestion.domain.firing import Timing
from ingestion.domain.rules import OnSignal, Rule, describe_rule, rule_from_json, rule_text
from ingestion.domain.schedules import Catchup, Disposition, Overlap, ScheduleAction
from ingestion.models import Job, Schedule

SCHEDULES_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """Hold one schedule; `rule` is None where what is stored is no rule, and `words` says so."""

    id: int
    name: str
    definition: str
    definition_enabled: bool
    action: ScheduleAction
    rule: Rule | None
    text: str
    words: str
    tz: str
    venue: str
    next_due_at: datetime | None
    next_fire_at: datetime | None
    last_fired_at: datetime | None
    overlap: Overlap
    catchup: Catchup
    max_lateness: timedelta | None
    jitter: timedelta | None
    cooldown: timedelta
    gather: timedelta
    starts_at: datetime | None
    ends_at: datetime | None
    exclusions: tuple[Any, ...]
    pause_after_failures: int | None
    failures: int
    paused_at: datetime | None
    paused_by: str
    note: str

    @property
    def state(self) -> str:
        """Say in a word how it stands: on, paused, disabled (its definition is) or ended."""
        if self.paused_at is not None:
            return "paused"
        if not self.definition_enabled:
            return "disabled"
        is_asleep = self.next_due_at is None and not self.listens
        return "ended" if is_asleep else "on"

    @property
    def listens(self) -> bool:
        """Tell whether it waits for signals, not for a time."""
        return isinstance(self.rule, OnSignal)

    def timing(self, rule: Rule) -> Timing:
        """Say when it is due by a rule, which is its own."""
        return Timing(
            schedule_id=self.id,
            rule=rule,
            tz=self.tz,
            jitter=self.jitter,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
        )


def select_schedules(*, definition: str | None = None) -> list[ScheduleView]:
    """Return schedules by definition and name, of one definition or of all."""
    found = Schedule.objects.select_related("definition").order_by("definition__name", "name")
    if definition is not None:
        found = found.filter(definition__name=definition)
    return [view(one) for one in found[:SCHEDULES_LIMIT]]


def read_schedule(name: str) -> ScheduleView:
    """Return the schedule of this name; raises UnknownSchedule."""
    found = Schedule.objects.select_related("definition").filter(name=name).first()
    if found is None:
        raise UnknownSchedule(name)
    return view(found)


def view(one: Schedule) -> ScheduleView:
    """Return a row in the words of the domain."""
    rule, text, words = _read_rule(one)
    return ScheduleView(
        id=one.pk,
        name=one.name,
        definition=one.definition.name,
        definition_enabled=one.definition.enabled,
        action=ScheduleAction(one.action),
        rule=rule,
        text=text,
        words=words,
        tz=one.tz,
        venue=one.venue,
        next_due_at=one.next_due_at,
        next_fire_at=one.next_fire_at,
        last_fired_at=one.last_fired_at,
        overlap=Overlap(one.overlap),
        catchup=Catchup(one.catchup),
        max_lateness=one.max_lateness,
        jitter=one.jitter,
        cooldown=one.cooldown,
        gather=one.gather,
        starts_at=one.starts_at,
        ends_at=one.ends_at,
        exclusions=tuple(one.exclusions),
        pause_after_failures=one.pause_after_failures,
        failures=one.failures,
        paused_at=one.paused_at,
        paused_by=one.paused_by,
        note=one.note,
    )


def _read_rule(one: Schedule) -> tuple[Rule | None, str, str]:
    try:
        rule = rule_from_json(one.rule)
    except BadRule as error:
        return None, str(one.rule), error.message
    return rule, rule_text(rule), describe_rule(rule, tz=one.tz, venue=one.venue)


@dataclass(frozen=True, slots=True)
class SlotView:
    """Hold what became of one due time, and the job that it started, if any is left."""

    id: int
    schedule_id: int
    due: datetime
    session: date | None
    disposition: Disposition
    decided_at: datetime
    into: datetime | None
    reason: str
    job_id: int | None
    job_state: str | None
    job_outcome: str | None


_SLOTS = """
SELECT sl.id, sl.schedule_id, sl.due, sl.session, sl.disposition, sl.decided_at, i.due, sl.reason,
       j.id, j.state, j.outcome
FROM unnest(%(ids)s::bigint[]) AS s(id)
CROSS JOIN LATERAL (
    SELECT * FROM slot WHERE schedule_id = s.id ORDER BY due DESC LIMIT %(limit)s
) sl
LEFT JOIN slot i ON i.id = sl.into_id
LEFT JOIN job j ON j.slot_id = sl.id
ORDER BY sl.schedule_id, sl.due DESC
"""


def last_slots(schedule_ids: Collection[int], *, limit: int) -> list[SlotView]:
    """Return the last slots of each schedule, the latest first."""
    with connection.cursor() as cursor:
        cursor.execute(_SLOTS, {"ids": list(schedule_ids), "limit": limit})
        return [_slot(row) for row in cursor.fetchall()]


def _slot(row: Sequence[Any]) -> SlotView:
    number, schedule_id, due, session, disposition, *rest = row
    return SlotView(number, schedule_id, due, session, Disposition(disposition), *rest)


def count_slots(schedule_id: int, *, since: datetime) -> dict[Disposition, int]:
    """Count the slots of a schedule that came due since a moment, by what became of them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT disposition, count(*) FROM slot WHERE schedule_id = %s AND due >= %s"
            " GROUP BY disposition",
            [schedule_id, since],
        )
        counts = dict(cursor.fetchall())
    return {one: int(counts[one.value]) for one in Disposition if one.value in counts}


def count_schedules() -> dict[int, int]:
    """Count the schedules of each definition that has any."""
    counted = Schedule.objects.values_list("definition_id").annotate(Count("id"))
    return dict(counted.order_by())


def last_job_ids(definition_id: int, *, limit: int) -> list[int]:
    """Return the numbers of the last jobs of a definition, newest first."""
    jobs = Job.objects.filter(definition_id=definition_id).order_by("-id")
    return list(jobs.values_list("id", flat=True)[:limit])
