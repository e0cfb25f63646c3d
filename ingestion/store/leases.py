"""Keep executors and leases alive, and take back what the dead left."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from ingestion.store.claim import LEASE
from ingestion.store.crashpoints import crash_point

EXECUTOR_SILENT = timedelta(seconds=12)


@dataclass(frozen=True, slots=True)
class Expired:
    """Describe a lease that ran out.

    `executor_died` is False while its executor still sends heartbeats; `company` counts the
    slices that were at work in the same executor, this one included.
    """

    slice_id: int
    job_id: int
    series_id: int
    account_id: int
    tries: int
    crashes: int
    suspect: bool
    executor_id: UUID
    leased_at: datetime
    begun_at: datetime | None
    executor_died: bool
    server_restarted: bool
    begun: bool
    company: int


@dataclass(frozen=True, slots=True)
class Orders:
    """Tell a run what people and the system want of it."""

    stopped_jobs: frozenset[int]
    drain: bool
    others_starve: bool


def register_executor(*, executor_id: UUID, host: str, pid: int, born: float | None = None) -> None:
    """Make a worker process known, or note that it is alive."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO executor (id, host, pid, born, started_at, last_seen, draining)"
            " VALUES (%s, %s, %s, %s, clock_timestamp(), clock_timestamp(), false)"
            " ON CONFLICT (id) DO UPDATE SET last_seen = clock_timestamp()",
            [executor_id, host, pid, born],
        )


def open_run(*, executor_id: UUID, account_id: int, share: int) -> tuple[int, int] | None:
    """Lease fetch slots of an account: at most `share`, at most what is free; None if none is.

    Returns the run's id and its slots. The account's row must be locked by this transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fetch_run (executor_id, account_id, slots, started_at, lease_until)"
            " SELECT %(executor)s, a.id, least(%(share)s, a.max_in_flight - used.slots),"
            "        clock_timestamp(), clock_timestamp() + make_interval(secs => %(lease)s)"
            " FROM account a, LATERAL (SELECT coalesce(sum(slots), 0)::int AS slots FROM fetch_run"
            "     WHERE account_id = a.id AND lease_until > clock_timestamp()) used"
            " WHERE a.id = %(account)s AND a.max_in_flight > used.slots"
            " RETURNING id, slots",
            {
                "executor": executor_id,
                "account": account_id,
                "share": share,
                "lease": LEASE.total_seconds(),
            },
        )
        row = cursor.fetchone()
    return (row[0], row[1]) if row else None


def close_run(run_id: int) -> None:
    """Give the fetch slots back."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM fetch_run WHERE id = %s", [run_id])


def heartbeat(
    *, executor_id: UUID, run_id: int, account_id: int, processes: int, tokens: Sequence[UUID]
) -> Orders:
    """Extend the leases of `tokens` and learn of pause, cancel and drain.

    Locked rows are skipped: whoever holds them is finishing or releasing the very slice.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE slice SET lease_until = clock_timestamp() + make_interval(secs => %s)"
            " WHERE id IN (SELECT id FROM slice WHERE executor_id = %s AND state = 'leased'"
            " AND lease_token = ANY(%s) ORDER BY id FOR UPDATE SKIP LOCKED)",
            [LEASE.total_seconds(), executor_id, list(tokens)],
        )
        crash_point("heartbeat.between")
        cursor.execute(
            "UPDATE fetch_run SET lease_until = clock_timestamp() + make_interval(secs => %s)"
            " WHERE id = %s",
            [LEASE.total_seconds(), run_id],
        )
        cursor.execute(
            "UPDATE executor SET last_seen = clock_timestamp() WHERE id = %s RETURNING draining",
            [executor_id],
        )
        row = cursor.fetchone()
        cursor.execute(
            "SELECT id FROM job WHERE account_id = %s AND desired <> 'run'"
            " AND state IN ('queued', 'running', 'paused')",
            [account_id],
        )
        stopped = frozenset(job_id for (job_id,) in cursor.fetchall())
        cursor.execute(_OTHERS_STARVE, {"account": account_id, "processes": processes})
        (starve,) = cursor.fetchone()
    return Orders(stopped_jobs=stopped, drain=row is None or row[0], others_starve=starve)


# Another account has due work and no run, while this one holds every process of a worker, or while
# every process is held and the other one's work is more urgent than any that is due here.
_OTHERS_STARVE = """
WITH held AS (
    SELECT count(*) FILTER (WHERE account_id = %(account)s) >= %(processes)s AS by_this,
           count(*) >= %(processes)s AS by_all
    FROM fetch_run WHERE lease_until > clock_timestamp()
), here AS (
    SELECT j.priority FROM job j
    WHERE j.account_id = %(account)s AND j.state = 'running' AND j.desired = 'run'
      AND EXISTS (SELECT 1 FROM slice s
                  WHERE s.job_id = j.id AND s.account_id = %(account)s AND s.state = 'ready'
                    AND s.next_attempt_at <= clock_timestamp())
    ORDER BY j.priority DESC LIMIT 1
)
SELECT EXISTS (
    SELECT 1 FROM account a, held
    WHERE a.id <> %(account)s AND (by_this OR by_all) AND a.enabled AND a.circuit = 'closed'
      AND coalesce(a.blocked_until, '-infinity') <= clock_timestamp()
      AND coalesce(a.paced_until, '-infinity') <= clock_timestamp()
      AND NOT EXISTS (SELECT 1 FROM fetch_run r
                      WHERE r.account_id = a.id AND r.lease_until > clock_timestamp())
      AND EXISTS (SELECT 1 FROM job j
                  WHERE j.account_id = a.id AND j.state = 'running' AND j.desired = 'run'
                    AND (by_this OR j.priority > coalesce((SELECT priority FROM here), 0))
                    AND EXISTS (SELECT 1 FROM slice s
                                WHERE s.job_id = j.id AND s.account_id = a.id AND s.state = 'ready'
                                  AND s.next_attempt_at <= clock_timestamp())))
"""


def expired(limit: int) -> list[Expired]:
    """Lock leases that ran out; those being finished right now are skipped."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH late AS (
                SELECT id FROM slice
                WHERE state = 'leased' AND lease_until < clock_timestamp()
                ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
            )
            SELECT s.id, s.job_id, s.series_id, s.account_id, s.tries, s.crashes, s.suspect,
                   s.executor_id, s.leased_at, s.begun_at,
                   e.id IS NULL
                     OR e.last_seen < clock_timestamp() - make_interval(secs => %(silent)s),
                   pg_postmaster_start_time() > s.leased_at,
                   s.begun_at <= coalesce(e.last_seen, s.leased_at) + interval '5 seconds',
                   count(*) FILTER (WHERE s.begun_at <= clock_timestamp())
                       OVER (PARTITION BY s.executor_id)
            FROM slice s JOIN late USING (id) LEFT JOIN executor e ON e.id = s.executor_id
            ORDER BY s.id
            """,
            {"limit": limit, "silent": EXECUTOR_SILENT.total_seconds()},
        )
        return [Expired(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Say what becomes of an expired slice."""

    slice_id: int
    crashes: int
    suspect: bool
    dead: bool


def take_back(verdicts: Sequence[Verdict]) -> None:
    """Apply verdicts to slices that this transaction locked by `expired`."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE slice s
            SET state = CASE WHEN v.dead THEN 'dead' ELSE 'ready' END,
                lease_token = NULL, lease_until = NULL, executor_id = NULL,
                next_attempt_at = clock_timestamp(),
                crashes = v.crashes, suspect = v.suspect,
                error_class = CASE WHEN v.dead THEN 'Crash' ELSE s.error_class END,
                error = CASE WHEN v.dead THEN 'its worker died each time it worked on this slice;'
                             ' look at the worker log, then replay it' ELSE s.error END
            FROM unnest(%s::bigint[], %s::int[], %s::bool[], %s::bool[])
                AS v(id, crashes, suspect, dead)
            WHERE s.id = v.id
            """,
            [
                [one.slice_id for one in verdicts],
                [one.crashes for one in verdicts],
                [one.suspect for one in verdicts],
                [one.dead for one in verdicts],
            ],
        )


def drain_executors(*, host: str, pids: Collection[int]) -> int:
    """Ask executors to part, by their process ids on a host; return how many were asked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE executor SET draining = true WHERE host = %s AND pid = ANY(%s)"
            # A process id may have been another one's before.
            " AND last_seen > clock_timestamp() - make_interval(secs => %s)",
            [host, list(pids), EXECUTOR_SILENT.total_seconds()],
        )
        return int(cursor.rowcount)


def executors_at_work(host: str) -> list[tuple[UUID, int, float]]:
    """List (id, pid, born) of a host's executors that hold leases or fetch slots."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, pid, born FROM executor e WHERE host = %s AND born IS NOT NULL"
            " AND (EXISTS (SELECT 1 FROM fetch_run r WHERE r.executor_id = e.id) OR EXISTS ("
            "   SELECT 1 FROM slice s WHERE s.executor_id = e.id AND s.state = 'leased'))",
            [host],
        )
        return [(executor_id, pid, born) for executor_id, pid, born in cursor.fetchall()]


def bury_executors(executor_ids: Sequence[UUID]) -> None:
    """Let the leases and fetch slots of executors that are known to be dead run out at once."""
    gone = list(executor_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE slice SET lease_until = clock_timestamp() WHERE id IN ("
            " SELECT id FROM slice WHERE executor_id = ANY(%s) AND state = 'leased'"
            " ORDER BY id FOR UPDATE SKIP LOCKED)",
            [gone],
        )
        cursor.execute("DELETE FROM fetch_run WHERE executor_id = ANY(%s)", [gone])
        cursor.execute("DELETE FROM executor WHERE id = ANY(%s)", [gone])


def forget_silent_executors(*, after: timedelta) -> int:
    """Delete executors, and runs, that have been silent for long and hold no lease."""
    seconds = after.total_seconds()
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM fetch_run"
            " WHERE lease_until < clock_timestamp() - make_interval(secs => %s)",
            [seconds],
        )
        cursor.execute(
            "DELETE FROM executor e"
            " WHERE last_seen < clock_timestamp() - make_interval(secs => %s) AND NOT EXISTS"
            " (SELECT 1 FROM slice s WHERE s.executor_id = e.id AND s.state = 'leased')"
            " AND NOT EXISTS (SELECT 1 FROM fetch_run r WHERE r.executor_id = e.id)",
            [seconds],
        )
        return int(cursor.rowcount)
