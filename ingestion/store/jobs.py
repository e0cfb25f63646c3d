"""Write job rows: guarded transitions, each with its audit event in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from ingestion.domain.actor import Actor
from ingestion.domain.errors import UnknownJob
from ingestion.domain.spec import JobSpec
from ingestion.domain.states import (
    TRANSITIONS,
    Desired,
    ForbiddenTransition,
    JobKind,
    JobState,
    Outcome,
    SliceCounts,
    SliceState,
    Workload,
    check_transition,
)
from ingestion.store import audit, schedules

KEY_LOCK_CLASS = 7302


@dataclass(frozen=True, slots=True)
class JobRow:
    """Hold a job's row as it is while locked."""

    job_id: int
    account_id: int
    workload: Workload
    kind: JobKind
    state: JobState
    desired: Desired
    desired_seconds: float
    planned: bool
    plan_cursor: dict[str, Any] | None
    spec: JobSpec
    poll_seconds: int | None
    request: dict[str, Any] | None


def lock_job(job_id: int) -> JobRow:
    """Lock a job until the transaction ends and read it; raises UnknownJob."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, account_id, workload, kind, state, desired,"
            " extract(epoch FROM clock_timestamp() - desired_at)::float8, planned,"
            " plan_cursor::text, spec::text, poll_seconds, request::text"
            " FROM job WHERE id = %s FOR NO KEY UPDATE",
            [job_id],
        )
        row = cursor.fetchone()
    if row is None:
        raise UnknownJob(job_id)
    return JobRow(
        job_id=row[0],
        account_id=row[1],
        workload=Workload(row[2]),
        kind=JobKind(row[3]),
        state=JobState(row[4]),
        desired=Desired(row[5]),
        desired_seconds=row[6],
        planned=row[7],
        plan_cursor=orjson.loads(row[8]) if row[8] else None,
        spec=JobSpec.from_json(orjson.loads(row[9])),
        poll_seconds=row[10],
        request=orjson.loads(row[11]) if row[11] else None,
    )


def lock_request_key(key: str) -> None:
    """Let no other transaction open a job under this key until this one ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [KEY_LOCK_CLASS, key])


def account_of(job_id: int) -> int:
    """Return a job's account without locking the job; raises UnknownJob."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT account_id FROM job WHERE id = %s", [job_id])
        row = cursor.fetchone()
    if row is None:
        raise UnknownJob(job_id)
    return int(row[0])


def forbidden(job: JobRow, new: JobState) -> ForbiddenTransition:
    """Build the error for a move that the verb does not offer from the job's state."""
    return ForbiddenTransition(job.state, new, allowed=frozenset(TRANSITIONS[job.state]))


def move(
    job: JobRow,
    new: JobState,
    *,
    actor: Actor,
    outcome: Outcome | None = None,
    reason: str = "",
    error_class: str = "",
    error: str = "",
) -> None:
    """Take a locked job to another state; raises ForbiddenTransition where none leads there."""
    check_transition(job.state, new)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE job SET state = %(new)s, outcome = %(outcome)s, wait_reason = '',"
            " wait_until = NULL,"
            " started_at = CASE WHEN %(new)s = 'running'"
            "   THEN coalesce(started_at, clock_timestamp()) ELSE started_at END,"
            " ended_at = CASE WHEN %(final)s THEN clock_timestamp() END,"
            " vtime = CASE WHEN %(new)s = 'running' THEN greatest(vtime, coalesce(("
            "   SELECT min(o.vtime) FROM job o WHERE o.account_id = job.account_id"
            "   AND o.state = 'running' AND o.desired = 'run'), 0)) ELSE vtime END,"
            " error_class = %(error_class)s, error = %(error)s"
            " WHERE id = %(id)s AND state = %(old)s",
            {
                "new": new.value,
                "outcome": outcome.value if outcome else None,
                "final": new.is_final,
                "error_class": error_class,
                "error": error,
                "id": job.job_id,
                "old": job.state.value,
            },
        )
    if new in (JobState.COMPLETED, JobState.FAILED):
        schedules.count_end(job.job_id, failed=new is JobState.FAILED)
    audit.record(
        actor=actor,
        action=f"job.{new.value}",
        object_type="job",
        object_id=job.job_id,
        before={"state": job.state.value},
        after={"state": new.value} | ({"outcome": outcome.value} if outcome else {}),
        reason=reason or error,
    )


def set_desired(job: JobRow, desired: Desired, *, actor: Actor, reason: str) -> None:
    """Record what a person asks of a locked job; it takes effect at the next batch boundary."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE job SET desired = %s, desired_at = clock_timestamp() WHERE id = %s",
            [desired.value, job.job_id],
        )
    audit.record(
        actor=actor,
        action=f"job.ask_{desired.value}",
        object_type="job",
        object_id=job.job_id,
        before={"desired": job.desired.value, "state": job.state.value},
        after={"desired": desired.value},
        reason=reason,
    )


def read_request(job_id: int) -> dict[str, Any] | None:
    """Return what a job asks that is not resolved yet, None where it is; raises UnknownJob."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT request::text FROM job WHERE id = %s", [job_id])
        row = cursor.fetchone()
    if row is None:
        raise UnknownJob(job_id)
    return orjson.loads(row[0]) if row[0] else None


def save_resolved(job_id: int, spec: JobSpec) -> None:
    """Give a locked job the series that its request turned out to mean."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE job SET spec = %s::jsonb, request = NULL WHERE id = %s",
            [orjson.dumps(spec.to_json()).decode(), job_id],
        )


def save_plan(job_id: int, *, cursor_at: dict[str, Any] | None, planned: bool) -> None:
    """Remember how far planning has come, in the transaction that inserted the slices."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE job SET plan_cursor = %s::jsonb, planned = %s WHERE id = %s",
            [orjson.dumps(cursor_at).decode() if cursor_at else None, planned, job_id],
        )


def lock_priority(job_id: int) -> tuple[int, JobState]:
    """Lock a job until the transaction ends; return its priority and state; raises UnknownJob."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT priority, state FROM job WHERE id = %s FOR NO KEY UPDATE", [job_id])
        row = cursor.fetchone()
    if row is None:
        raise UnknownJob(job_id)
    return row[0], JobState(row[1])


def set_priority(job_id: int, priority: int) -> None:
    """Let a locked job go before those of lower priority, from the next claim on."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE job SET priority = %s WHERE id = %s", [priority, job_id])


def never_stale(job_id: int) -> None:
    """Let retries of a job matter whenever they come, because a person asked for them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE job SET stale_at = NULL WHERE id = %s AND stale_at IS NOT NULL", [job_id]
        )


def count_slices(job_id: int) -> SliceCounts:
    """Count a job's slices by state."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, count(*) FROM slice WHERE job_id = %s GROUP BY state", [job_id]
        )
        counts = dict(cursor.fetchall())
    return SliceCounts(
        ready=counts.get(SliceState.READY, 0),
        leased=counts.get(SliceState.LEASED, 0),
        done=counts.get(SliceState.DONE, 0),
        dead=counts.get(SliceState.DEAD, 0),
    )


def count_ready(job_id: int, *, at_most: int) -> int:
    """Count ready slices, no further than is worth knowing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT 1 FROM slice WHERE job_id = %s AND state = 'ready'"
            " LIMIT %s) s",
            [job_id, at_most],
        )
        (count,) = cursor.fetchone()
    return int(count)


def has_missing_sessions(spec: JobSpec) -> bool:
    """Tell whether an expected session inside what the job means was found without bars."""
    asked = [(one.series_id, window) for one in spec.series for window in one.meant()]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1"
            " FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[])"
            "   AS g(series_id, starts, ends)"
            " JOIN missing_session m ON m.series_id = g.series_id"
            '   AND m."window" && tstzrange(g.starts, g.ends))',
            [
                [series_id for series_id, _ in asked],
                [window.start for _, window in asked],
                [window.end for _, window in asked],
            ],
        )
        return bool(cursor.fetchone()[0])


def first_death(job_id: int) -> tuple[str, str]:
    """Return the error class and text of one dead slice of a job."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT error_class, error FROM slice WHERE job_id = %s AND state = 'dead'"
            " ORDER BY id LIMIT 1",
            [job_id],
        )
        row = cursor.fetchone()
    return (row[0], row[1]) if row else ("", "")


def set_next_poll(job_id: int, *, at: datetime) -> None:
    """Set when a realtime job asks again."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE job SET next_poll_at = %s WHERE id = %s", [at, job_id])
