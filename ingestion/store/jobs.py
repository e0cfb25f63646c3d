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
from ingestion.store import audit


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


def lock_job(job_id: int) -> JobRow:
    """Lock a job until the transaction ends and read it; raises UnknownJob."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, account_id, workload, kind, state, desired,"
            " extract(epoch FROM clock_timestamp() - desired_at)::float8, planned,"
            " plan_cursor::text, spec::text, poll_seconds"
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
    )


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
            " vtime = CASE WHEN %(new)s = 'running' THEN greatest(vtime, coalesce((SELECT min(o.vtime)"
            "   FROM job o WHERE o.account_id = job.account_id AND o.state = 'running'"
            "   AND o.desired = 'run'), 0)) ELSE vtime END,"
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


def save_plan(job_id: int, *, cursor_at: dict[str, Any] | None, planned: bool) -> None:
    """Remember how far planning has come, in the transaction that inserted the slices."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE job SET plan_cursor = %s::jsonb, planned = %s WHERE id = %s",
            [orjson.dumps(cursor_at).decode() if cursor_at else None, planned, job_id],
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
    """Tell whether an expected session inside the job's windows was found without bars."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM missing_session WHERE series_id = ANY(%s)"
            ' AND "window" && tstzrange(%s, %s))',
            [[one.series_id for one in spec.series], spec.start, spec.end],
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


def jobs_to_settle(limit: int) -> list[int]:
    """List jobs whose state may have to change."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT j.id FROM job j
            WHERE j.state IN ('queued', 'running', 'paused') AND (
                (j.desired = 'pause' AND j.state <> 'paused')
                OR j.desired = 'cancel'
                OR (j.desired = 'run' AND j.state = 'paused')
                OR (j.desired = 'run' AND j.state = 'running' AND j.planned
                    AND NOT EXISTS (SELECT 1 FROM slice s WHERE s.job_id = j.id AND s.state = 'ready')
                    AND NOT EXISTS (SELECT 1 FROM slice s WHERE s.job_id = j.id AND s.lease_token IS NOT NULL))
            )
            ORDER BY j.id LIMIT %s
            """,
            [limit],
        )
        return [job_id for (job_id,) in cursor.fetchall()]


def jobs_to_plan(limit: int, *, low_water: int) -> list[int]:
    """List jobs that planning should go on with, urgent ones first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT j.id FROM job j
            WHERE j.workload = 'historical' AND NOT j.planned AND j.desired = 'run'
              AND j.state IN ('queued', 'running')
              AND (j.state = 'queued' OR (SELECT count(*) FROM (
                    SELECT 1 FROM slice s WHERE s.job_id = j.id AND s.state = 'ready' LIMIT %s) r) < %s)
            ORDER BY j.priority DESC, j.id LIMIT %s
            """,
            [low_water, low_water, limit],
        )
        return [job_id for (job_id,) in cursor.fetchall()]


def jobs_to_poll(limit: int) -> list[int]:
    """List realtime jobs whose next poll is due."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM job WHERE workload = 'realtime' AND state IN ('queued', 'running')"
            " AND desired = 'run' AND coalesce(next_poll_at, '-infinity') <= clock_timestamp()"
            " ORDER BY priority DESC, id LIMIT %s",
            [limit],
        )
        return [job_id for (job_id,) in cursor.fetchall()]


def set_next_poll(job_id: int, *, at: datetime) -> None:
    """Set when a realtime job asks again."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE job SET next_poll_at = %s WHERE id = %s", [at, job_id])


def explain_waits(limit: int) -> None:
    """Write on open jobs why they wait, and until when; an empty reason means they are at work."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPLAIN_WAITS, {"limit": limit})


_EXPLAIN_WAITS = """
WITH facts AS (
    SELECT j.id, j.state, j.workload, j.next_poll_at, a.circuit, a.circuit_reason, a.enabled,
           a.provider, a.blocked_until, a.paced_until,
           EXISTS (SELECT 1 FROM slice s WHERE s.job_id = j.id AND s.lease_token IS NOT NULL) AS at_work,
           (SELECT s.next_attempt_at FROM slice s
            WHERE s.job_id = j.id AND s.account_id = j.account_id AND s.state = 'ready'
            ORDER BY s.next_attempt_at LIMIT 1) AS next_try,
           EXISTS (SELECT 1 FROM executor e
                   WHERE e.last_seen > clock_timestamp() - interval '20 seconds') AS staffed
    FROM job j JOIN account a ON a.id = j.account_id
    WHERE j.state IN ('queued', 'running') AND j.desired = 'run'
    ORDER BY j.id DESC LIMIT %(limit)s
), said AS (
    SELECT id,
           CASE WHEN circuit = 'open' THEN 'circuit open: ' || circuit_reason
                WHEN NOT enabled THEN 'account at ' || provider || ' is disabled'
                WHEN at_work THEN ''
                WHEN state = 'queued' THEN 'waiting to be planned'
                WHEN blocked_until > clock_timestamp() THEN 'throttled by ' || provider
                WHEN next_try IS NULL AND workload = 'realtime' THEN 'next poll'
                WHEN next_try IS NULL THEN ''
                WHEN next_try > clock_timestamp() THEN 'retry'
                WHEN NOT staffed AND next_try < clock_timestamp() - interval '10 seconds'
                    THEN 'no worker'
                WHEN paced_until > clock_timestamp() THEN 'rate limit of ' || provider
                ELSE '' END AS reason,
           CASE WHEN circuit = 'open' OR NOT enabled OR at_work OR state = 'queued' THEN NULL
                WHEN blocked_until > clock_timestamp() THEN blocked_until
                WHEN next_try IS NULL AND workload = 'realtime' THEN next_poll_at
                WHEN next_try > clock_timestamp() THEN next_try
                WHEN next_try IS NOT NULL AND staffed AND paced_until > clock_timestamp()
                    THEN paced_until
                END AS until
    FROM facts
)
UPDATE job j SET wait_reason = left(s.reason, 200), wait_until = s.until
FROM said s
WHERE j.id = s.id AND (j.wait_reason, j.wait_until) IS DISTINCT FROM (left(s.reason, 200), s.until)
"""


@dataclass(frozen=True, slots=True)
class AccountDemand:
    """Hold how much due work an account has, up to a bound, and how many runs serve it."""

    account_id: int
    due: int
    runs: int


def demand(*, at_most: int) -> list[AccountDemand]:
    """List accounts with due slices that may send now."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT a.id, d.due,
                   (SELECT count(*) FROM fetch_run r
                    WHERE r.account_id = a.id AND r.lease_until > clock_timestamp())
            FROM account a
            CROSS JOIN LATERAL (
                SELECT count(*) AS due FROM (
                    SELECT 1 FROM (
                        SELECT j.id FROM job j
                        WHERE j.account_id = a.id AND j.state = 'running' AND j.desired = 'run'
                        ORDER BY j.priority DESC, j.vtime LIMIT 200) j
                    CROSS JOIN LATERAL (
                        SELECT 1 FROM slice s
                        WHERE s.job_id = j.id AND s.account_id = a.id AND s.state = 'ready'
                          AND s.next_attempt_at <= clock_timestamp() LIMIT %(at_most)s) s
                    LIMIT %(at_most)s) x
            ) d
            WHERE a.enabled AND a.circuit = 'closed' AND d.due > 0
              AND coalesce(a.blocked_until, '-infinity') <= clock_timestamp()
              AND coalesce(a.paced_until, '-infinity') <= clock_timestamp() + interval '1 second'
            ORDER BY a.id
            """,
            {"at_most": at_most},
        )
        return [AccountDemand(*row) for row in cursor.fetchall()]
