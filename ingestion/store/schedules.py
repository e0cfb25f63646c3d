"""The only writer of schedules' due times, of slots and of pauses.

Whoever fires takes due schedules with SKIP LOCKED, so that two of them share the work; whoever
pauses, resumes or triggers waits for the row. Jobs are only ever inserted under these locks.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson
from django.db import connection

from ingestion.domain.errors import UnknownSchedule
from ingestion.domain.firing import OpenJobs, Policy, Timing
from ingestion.domain.rules import Rule, rule_from_json
from ingestion.domain.schedules import Catchup, Disposition, Overlap, ScheduleAction
from ingestion.models import Schedule
from providers.types import Timeframe

_OPEN_STATES: Final = "('queued', 'running', 'paused')"


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """Hold a schedule's row as it is while locked; `rule_json` may be what no rule is."""

    id: int
    name: str
    definition_id: int
    action: ScheduleAction
    rule_json: str
    tz: str
    venue: str
    next_due_at: datetime | None
    decided_until: datetime | None
    overlap: Overlap
    catchup: Catchup
    max_lateness: timedelta | None
    jitter: timedelta | None
    cooldown: timedelta
    starts_at: datetime | None
    ends_at: datetime | None
    exclusions: str
    paused_at: datetime | None
    paused_by: str
    note: str
    definition: str
    definition_enabled: bool
    providers: tuple[str, ...]

    def is_due(self, now: datetime) -> bool:
        """Tell whether a due time has come that nobody has decided."""
        return self.next_due_at is not None and self.next_due_at <= now

    @property
    def timing(self) -> Timing:
        """Say when it is due; raises BadRule."""
        return Timing(
            schedule_id=self.id,
            rule=_rule(self.rule_json),
            tz=self.tz,
            jitter=self.jitter,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
        )

    def policy(self, *, paused: str = "") -> Policy:
        """Say what it does about due times; `paused` is a further reason to fire none."""
        return Policy(
            overlap=self.overlap,
            catchup=self.catchup,
            max_lateness=self.max_lateness,
            exclusions=_exclusions(self.exclusions),
            tz=self.tz,
            paused=self._pause_words() or paused,
        )

    def _pause_words(self) -> str:
        if self.paused_at:
            by = f"paused by {self.paused_by}" if self.paused_by else "paused"
            return f"{by}: {self.note}" if self.note else by
        return "" if self.definition_enabled else f"the definition {self.definition} is disabled"


@functools.lru_cache(maxsize=1024)
def _rule(text: str) -> Rule:
    return rule_from_json(orjson.loads(text))


@functools.lru_cache(maxsize=256)
def _exclusions(text: str) -> tuple[Any, ...]:
    return tuple(orjson.loads(text))


_COLUMNS: Final = """
    s.id, s.name, s.definition_id, s.action, s.rule::text, s.tz, s.venue, s.next_due_at,
    s.decided_until, s.overlap, s.catchup, s.max_lateness, s.jitter, s.cooldown, s.starts_at,
    s.ends_at, s.exclusions::text, s.paused_at, s.paused_by, s.note, d.name, d.enabled, d.providers
FROM schedule s JOIN job_definition d ON d.id = s.definition_id
"""


def lock_due(*, now: datetime, limit: int) -> list[ScheduleRow]:
    """Lock due schedules that nobody else has in hand, the longest due first."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} WHERE s.next_fire_at <= %s ORDER BY s.next_fire_at LIMIT %s"
            " FOR NO KEY UPDATE OF s SKIP LOCKED",
            [now, limit],
        )
        return [_row(row) for row in cursor.fetchall()]


def lock_schedules(ids: Collection[int]) -> list[ScheduleRow]:
    """Lock schedules in the order of their ids, waiting for whoever has one in hand."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} WHERE s.id = ANY(%s) ORDER BY s.id FOR NO KEY UPDATE OF s",
            [list(ids)],
        )
        return [_row(row) for row in cursor.fetchall()]


def lock_named(name: str) -> ScheduleRow:
    """Lock one schedule, waiting for whoever has it in hand; raises UnknownSchedule."""
    found = Schedule.objects.filter(name=name).values_list("id", flat=True).first()
    rows = lock_schedules([found]) if found is not None else []
    if not rows:
        raise UnknownSchedule(name)
    return rows[0]


def _row(row: Sequence[Any]) -> ScheduleRow:
    policies = (Overlap(row[9]), Catchup(row[10]))
    return ScheduleRow(
        *[*row[:3], ScheduleAction(row[3]), *row[4:9], *policies, *row[11:-1], tuple(row[-1])]
    )


def next_fire_at() -> datetime | None:
    """Return when the next schedule fires; one look into an index."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(next_fire_at) FROM schedule WHERE next_fire_at IS NOT NULL")
        (at,) = cursor.fetchone()
    return at if isinstance(at, datetime) else None


def venues_in_use() -> list[str]:
    """List the venues by whose sessions schedules go, the one that is due first first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT venue FROM schedule WHERE venue <> '' GROUP BY venue"
            " ORDER BY min(next_fire_at), venue"
        )
        return [venue for (venue,) in cursor.fetchall()]


def ids_of_venue(venue: str) -> list[int]:
    """List the schedules that go by a venue's sessions."""
    return list(Schedule.objects.filter(venue=venue).order_by("id").values_list("id", flat=True))


def ids_without_next() -> list[int]:
    """List the schedules of which no next due time is known, for whatever reason."""
    asleep = Schedule.objects.filter(next_due_at=None).exclude(rule__kind="signal")
    return list(asleep.order_by("id").values_list("id", flat=True))


def open_jobs(schedule_ids: Collection[int]) -> dict[int, OpenJobs]:
    """Return the open jobs of schedules; of those left out there are none."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT sl.schedule_id, max(j.id),"
            f" (array_agg(sl.id ORDER BY j.id) FILTER (WHERE a.id IS NOT NULL))[1]"
            f" FROM job j JOIN slot sl ON sl.id = j.slot_id"
            f" LEFT JOIN job a ON a.id = j.after_id AND a.state IN {_OPEN_STATES}"
            f" WHERE j.state IN {_OPEN_STATES} AND sl.schedule_id = ANY(%s)"
            f" GROUP BY sl.schedule_id",
            [list(schedule_ids)],
        )
        return {row[0]: OpenJobs(*row[1:]) for row in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class NewSlot:
    """Hold one due time with its disposition; `into` is the slot that a coalesced one went into."""

    id: int
    schedule_id: int
    due: datetime
    session: date | None
    disposition: Disposition
    reason: str
    into: int | None = None


def decided_dues(dues: Collection[tuple[int, datetime]]) -> set[tuple[int, datetime]]:
    """Return those of these (schedule, due time) that have a slot already."""
    if not dues:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.schedule_id, s.due"
            " FROM json_to_recordset(%s) AS g(schedule_id bigint, due timestamptz)"
            " JOIN slot s ON s.schedule_id = g.schedule_id AND s.due = g.due",
            [_json([{"schedule_id": schedule_id, "due": due} for schedule_id, due in dues])],
        )
        return {(schedule_id, due) for schedule_id, due in cursor.fetchall()}


def insert_slots(slots: Sequence[NewSlot], *, now: datetime) -> None:
    """Write the ledger; each (schedule, due time) can be written once."""
    if not slots:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO slot (id, schedule_id, due, session, disposition, reason, into_id,"
            " decided_at)"
            " SELECT g.*, %s FROM json_to_recordset(%s) AS g(id bigint, schedule_id bigint,"
            ' due timestamptz, session date, disposition text, reason text, "into" bigint)',
            [now, _json(slots)],
        )


@dataclass(frozen=True, slots=True)
class Advance:
    """Say where a schedule stands after its due times were decided.

    `next_due` and `next_fire` are None where nothing is due any more; `fired` whether a slot fired.
    """

    schedule_id: int
    next_due: datetime | None
    next_fire: datetime | None
    decided_until: datetime
    fired: bool = False


def advance(steps: Sequence[Advance], *, now: datetime) -> None:
    """Move locked schedules on to their next due times."""
    if not steps:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE schedule s SET next_due_at = g.next_due, next_fire_at = g.next_fire,"
            " decided_until = g.decided_until,"
            " last_fired_at = CASE WHEN g.fired THEN %s ELSE s.last_fired_at END"
            " FROM json_to_recordset(%s) AS g(schedule_id bigint, next_due timestamptz,"
            " next_fire timestamptz, decided_until timestamptz, fired bool)"
            " WHERE s.id = g.schedule_id",
            [now, _json(steps)],
        )


def set_paused(schedule_id: int, *, at: datetime, by: str, note: str) -> None:
    """Let nothing fire any more until somebody resumes a locked schedule."""
    Schedule.objects.filter(id=schedule_id).update(paused_at=at, paused_by=by, note=note)


def set_resumed(schedule_id: int, *, note: str) -> None:
    """Let a locked schedule fire again, and count its failures anew."""
    Schedule.objects.filter(id=schedule_id).update(
        paused_at=None, paused_by="", note=note, failures=0
    )


def note_trigger(schedule_id: int, *, at: datetime) -> None:
    """Remember that a locked schedule fired, without moving its due times."""
    Schedule.objects.filter(id=schedule_id).update(last_fired_at=at)


def count_end(job_id: int, *, failed: bool) -> None:
    """Count how a job of a schedule has ended: so many failures in a row, or none any more.

    A plain update of one row after the job's: firing never waits for it while it holds a job.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE schedule SET failures = CASE WHEN %(failed)s THEN failures + 1 ELSE 0 END"
            " WHERE id = (SELECT sl.schedule_id FROM job j JOIN slot sl ON sl.id = j.slot_id"
            "             WHERE j.id = %(job)s) AND (%(failed)s OR failures > 0)",
            {"failed": failed, "job": job_id},
        )


@dataclass(frozen=True, slots=True)
class Failing:
    """Name a schedule whose jobs failed too often in a row, and what its definition holds."""

    schedule_id: int
    name: str
    failures: int
    symbols: tuple[str, ...]
    timeframe: Timeframe


def lock_failing() -> list[Failing]:
    """Lock the schedules that have reached their limit of failures and are not paused yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.id, s.name, s.failures, d.symbols, d.timeframe"
            " FROM schedule s JOIN job_definition d ON d.id = s.definition_id"
            " WHERE s.paused_at IS NULL AND s.failures >= s.pause_after_failures"
            " ORDER BY s.id FOR NO KEY UPDATE OF s SKIP LOCKED"
        )
        return [Failing(*[*row[:3], tuple(row[3]), Timeframe(row[4])]) for row in cursor.fetchall()]


def _json(rows: Sequence[Any]) -> str:
    # One text: arrays are quoted element by element, which takes as long as all the rest.
    return orjson.dumps(rows).decode()
