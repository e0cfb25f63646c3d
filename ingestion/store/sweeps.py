"""What the tick looks for: jobs to settle, plan and poll, why jobs wait, accounts with due work."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection


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
                    AND NOT EXISTS (SELECT 1 FROM slice s
                                    WHERE s.job_id = j.id AND s.state = 'ready')
                    AND NOT EXISTS (SELECT 1 FROM slice s
                                    WHERE s.job_id = j.id AND s.lease_token IS NOT NULL))
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
              AND NOT EXISTS (SELECT 1 FROM job a WHERE a.id = j.after_id
                              AND a.state IN ('queued', 'running', 'paused'))
              AND (j.state = 'queued' OR (SELECT count(*) FROM (
                    SELECT 1 FROM slice s WHERE s.job_id = j.id AND s.state = 'ready'
                    LIMIT %s) r) < %s)
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


def explain_waits(limit: int) -> None:
    """Write on open jobs why they wait, and until when; an empty reason means they are at work."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPLAIN_WAITS, {"limit": limit})


_EXPLAIN_WAITS = """
WITH facts AS (
    SELECT j.id, j.state, j.workload, j.next_poll_at, a.circuit, a.circuit_reason, a.enabled,
           a.provider, a.blocked_until, a.paced_until,
           (SELECT o.id FROM job o
            WHERE o.id = j.after_id AND o.state IN ('queued', 'running', 'paused')) AS after_open,
           EXISTS (SELECT 1 FROM slice s
                   WHERE s.job_id = j.id AND s.lease_token IS NOT NULL) AS at_work,
           (SELECT s.next_attempt_at FROM slice s
            WHERE s.job_id = j.id AND s.account_id = j.account_id AND s.state = 'ready'
            ORDER BY s.next_attempt_at LIMIT 1) AS next_try,
           EXISTS (SELECT 1 FROM budget b WHERE b.job_id = j.id) AS own_limit,
           EXISTS (SELECT 1 FROM executor e
                   WHERE e.last_seen > clock_timestamp() - interval '15 seconds') AS staffed
    FROM job j JOIN account a ON a.id = j.account_id
    WHERE j.state IN ('queued', 'running') AND j.desired = 'run'
    ORDER BY j.id DESC LIMIT %(limit)s
), said AS (
    SELECT id,
           CASE WHEN circuit = 'open' THEN 'circuit open: ' || circuit_reason
                WHEN NOT enabled THEN 'account at ' || provider || ' is disabled'
                WHEN at_work THEN ''
                WHEN state = 'queued' AND after_open IS NOT NULL THEN 'waits for job ' || after_open
                WHEN state = 'queued' THEN 'waiting to be planned'
                WHEN blocked_until > clock_timestamp() THEN 'throttled by ' || provider
                WHEN next_try IS NULL AND workload = 'realtime' THEN 'next poll'
                WHEN next_try IS NULL THEN ''
                WHEN next_try > clock_timestamp() THEN 'retry'
                WHEN NOT staffed AND next_try < clock_timestamp() - interval '10 seconds'
                    THEN 'no worker'
                WHEN paced_until > clock_timestamp() THEN 'rate limit of ' || provider
                WHEN own_limit THEN 'rate limit of the job'
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
    """List accounts with due slices that may send now, those with the most urgent work first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT a.id, d.due,
                   (SELECT count(*) FROM fetch_run r
                    WHERE r.account_id = a.id AND r.lease_until > clock_timestamp())
            FROM account a
            CROSS JOIN LATERAL (
                SELECT count(*) AS due, max(priority) AS highest FROM (
                    SELECT j.priority FROM (
                        SELECT j.id, j.priority FROM job j
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
            ORDER BY d.highest DESC, a.id
            """,
            {"at_most": at_most},
        )
        return [AccountDemand(*row) for row in cursor.fetchall()]
