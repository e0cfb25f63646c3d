"""Write slices: planned in bulk, finished or put back only under the lease token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from ingestion.domain.windows import Window

# The error class of slices that were dropped because their next try came too late.
STALE = "StaleRetry"


@dataclass(frozen=True, slots=True)
class Finished:
    """Close one slice: its token, the last stored stamp, and how many good rows it had.

    `resume_from` puts the rest back instead of closing: everything before it is committed.
    """

    slice_id: int
    token: UUID
    last_ts: datetime | None
    rows: int
    resume_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class PutBack:
    """Return one slice for another try, or let it die, under its token."""

    slice_id: int
    token: UUID
    seconds: float
    burns_try: bool
    dead: bool
    error_class: str
    error: str


def insert_slices(*, job_id: int, account_id: int, slices: Sequence[tuple[int, Window]]) -> None:
    """Add ready slices, as (series id, window), in bulk; the row is the enqueue."""
    # COPY takes no expressions, but reads the text 'now' as the transaction's start.
    tail = ")\tready\tnow\t0\t0\tf\t0\t\t\n"
    with (
        connection.cursor() as cursor,
        cursor.copy(
            'COPY slice (job_id, account_id, series_id, "window", state, next_attempt_at, tries,'
            " crashes, suspect, rows, error_class, error) FROM STDIN"
        ) as copy,
    ):
        copy.write(
            "".join(
                f"{job_id}\t{account_id}\t{series_id}\t"
                f"[{window.start.isoformat()},{window.end.isoformat()}{tail}"
                for series_id, window in slices
            )
        )


def finish_slices(finished: Sequence[Finished]) -> set[int]:
    """Lock and close the slices whose token still holds; return their ids.

    What does not come back was fenced: another executor owns it now, or nobody does.
    """
    ordered = sorted(finished, key=lambda one: one.slice_id)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH given AS (
                SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::timestamptz[], %s::int[],
                                     %s::timestamptz[])
                    AS g(id, token, last_ts, good_rows, resume_from)
            ), mine AS (
                SELECT s.id FROM slice s JOIN given g ON g.id = s.id AND g.token = s.lease_token
                ORDER BY s.id FOR UPDATE OF s
            )
            UPDATE slice s
            SET state = CASE WHEN g.resume_from IS NULL THEN 'done' ELSE 'ready' END,
                resume_from = coalesce(g.resume_from, s.resume_from),
                lease_token = NULL, lease_until = NULL, executor_id = NULL,
                last_ts = greatest(s.last_ts, g.last_ts), rows = s.rows + g.good_rows,
                next_attempt_at = CASE WHEN g.resume_from IS NULL THEN s.next_attempt_at
                                       ELSE clock_timestamp() END,
                crashes = 0, suspect = false, error_class = '', error = ''
            FROM given g JOIN mine USING (id)
            WHERE s.id = g.id
            RETURNING s.id
            """,
            [
                [one.slice_id for one in ordered],
                [one.token for one in ordered],
                [one.last_ts for one in ordered],
                [one.rows for one in ordered],
                [one.resume_from for one in ordered],
            ],
        )
        return {slice_id for (slice_id,) in cursor.fetchall()}


def put_back(returns: Sequence[PutBack]) -> set[int]:
    """Give slices back for a later try, or let them die; return the ids still owned."""
    ordered = sorted(returns, key=lambda one: one.slice_id)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH given AS (
                SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::float8[], %s::bool[],
                                     %s::bool[], %s::text[], %s::text[])
                    AS g(id, token, seconds, burns, dead, error_class, error)
            ), mine AS (
                SELECT s.id FROM slice s JOIN given g ON g.id = s.id AND g.token = s.lease_token
                ORDER BY s.id FOR UPDATE OF s
            )
            UPDATE slice s
            SET state = CASE WHEN g.dead THEN 'dead' ELSE 'ready' END,
                lease_token = NULL, lease_until = NULL, executor_id = NULL,
                next_attempt_at = clock_timestamp() + make_interval(secs => g.seconds),
                tries = s.tries + CASE WHEN g.burns THEN 1 ELSE 0 END,
                suspect = s.suspect AND g.error_class = '',
                error_class = coalesce(nullif(g.error_class, ''), s.error_class),
                error = CASE WHEN g.error_class = '' THEN s.error ELSE g.error END
            FROM given g JOIN mine USING (id)
            WHERE s.id = g.id
            RETURNING s.id
            """,
            [
                [one.slice_id for one in ordered],
                [one.token for one in ordered],
                [one.seconds for one in ordered],
                [one.burns_try for one in ordered],
                [one.dead for one in ordered],
                [one.error_class for one in ordered],
                [one.error for one in ordered],
            ],
        )
        return {slice_id for (slice_id,) in cursor.fetchall()}


def bury_series(*, job_id: int, series_id: int, error_class: str, error: str) -> int:
    """Let the ready slices of one series of a job die with the error that one of them met."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE slice SET state = 'dead', error_class = %s, error = %s WHERE id IN ("
            " SELECT id FROM slice WHERE job_id = %s AND series_id = %s AND state = 'ready'"
            " ORDER BY id FOR UPDATE SKIP LOCKED)",
            [error_class, error, job_id, series_id],
        )
        return int(cursor.rowcount)


def drop_stale(limit: int) -> int:
    """Let retries that can only begin after their job's `stale_at` die; return how many did."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE slice s
            SET state = 'dead', error_class = %s,
                error = concat_ws('; ', 'a retry would begin after '
                    || to_char(late.stale_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
                    || 'Z, too late', nullif(s.error, ''))
            FROM (
                SELECT r.id, j.stale_at FROM job j JOIN slice r ON r.job_id = j.id
                WHERE j.state = 'running' AND j.stale_at <= clock_timestamp()
                  AND r.state = 'ready' AND r.leased_at IS NOT NULL
                ORDER BY r.id LIMIT %s FOR UPDATE OF r SKIP LOCKED
            ) late
            WHERE s.id = late.id
            """,
            [STALE, limit],
        )
        return int(cursor.rowcount)


def supersede(unwritten: Mapping[int, int]) -> None:
    """Close slices that the caller has just finished, but whose rows it did not write.

    `unwritten` counts those rows by slice.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE slice s SET state = 'superseded', rows = s.rows - g.good_rows"
            " FROM unnest(%s::bigint[], %s::int[]) AS g(id, good_rows) WHERE s.id = g.id",
            [list(unwritten), list(unwritten.values())],
        )


def supersede_ready(*, job_id: int, series_id: int) -> int:
    """Leave to another job what one has not begun of a series; return how many slices that is."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE slice SET state = 'superseded' WHERE id IN ("
            " SELECT id FROM slice WHERE job_id = %s AND series_id = %s AND state = 'ready'"
            " ORDER BY id FOR UPDATE SKIP LOCKED)",
            [job_id, series_id],
        )
        return int(cursor.rowcount)


def has_given_up(job_id: int) -> bool:
    """Tell whether a job left slices to another: superseded ones that none of its own replaces."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM slice s WHERE s.job_id = %s AND s.state = 'superseded'"
            " AND NOT EXISTS (SELECT 1 FROM slice r WHERE r.job_id = s.job_id"
            "                 AND r.replaces_id = s.id))",
            [job_id],
        )
        return bool(cursor.fetchone()[0])


def replay_dead(job_id: int) -> int:
    """Make the dead slices of a job ready again, with all their tries."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE slice SET state = 'ready', tries = 0, crashes = 0, suspect = false,"
            " next_attempt_at = clock_timestamp() WHERE id IN ("
            " SELECT id FROM slice WHERE job_id = %s AND state = 'dead' ORDER BY id FOR UPDATE)",
            [job_id],
        )
        return int(cursor.rowcount)


def make_due(job_id: int) -> None:
    """Let slices in backoff be tried at once, because a person asked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE slice SET next_attempt_at = clock_timestamp() WHERE id IN ("
            " SELECT id FROM slice WHERE job_id = %s AND state = 'ready'"
            " AND next_attempt_at > clock_timestamp() ORDER BY id FOR UPDATE SKIP LOCKED)",
            [job_id],
        )


def cancel_open(job_id: int) -> int:
    """Close what a cancelled job had not begun."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE slice SET state = 'cancelled' WHERE id IN ("
            " SELECT id FROM slice WHERE job_id = %s AND state = 'ready' ORDER BY id FOR UPDATE)",
            [job_id],
        )
        return int(cursor.rowcount)


@dataclass(frozen=True, slots=True)
class Released:
    """Describe a lease that was taken away from its executor."""

    slice_id: int
    series_id: int
    account_id: int
    tries: int
    executor_id: UUID
    leased_at: datetime
    begun_at: datetime


def release_leases(job_id: int) -> list[Released]:
    """Take the leases of a job away, so that a request that hangs delays nobody.

    Whatever still arrives under the old tokens is fenced.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH held AS (SELECT id, executor_id FROM slice"
            "   WHERE job_id = %s AND lease_token IS NOT NULL ORDER BY id FOR UPDATE)"
            " UPDATE slice s SET state = 'ready', lease_token = NULL, lease_until = NULL,"
            " executor_id = NULL FROM held WHERE s.id = held.id"
            " RETURNING s.id, s.series_id, s.account_id, s.tries, held.executor_id, s.leased_at,"
            "   s.begun_at",
            [job_id],
        )
        return [Released(*row) for row in cursor.fetchall()]


def rearm(*, job_id: int, series_id: int, account_id: int, window: Window) -> bool:
    """Let a polling job ask again: its one slice per series gets the newest window.

    The slice is made on the first poll and reused afterwards; one that is still open is left
    alone, and then the answer is False.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE slice SET state = 'ready', \"window\" = tstzrange(%s, %s), resume_from = NULL,"
            " tries = 0, next_attempt_at = clock_timestamp() WHERE job_id = %s AND series_id = %s"
            " AND state IN ('done', 'dead', 'superseded')",
            [window.start, window.end, job_id, series_id],
        )
        if cursor.rowcount:
            return True
        cursor.execute(
            'INSERT INTO slice (job_id, series_id, account_id, "window", state, next_attempt_at,'
            " tries, crashes, suspect, rows, error_class, error)"
            " SELECT %s, %s, %s, tstzrange(%s, %s), 'ready', clock_timestamp(), 0, 0, false, 0,"
            " '', '' WHERE NOT EXISTS (SELECT 1 FROM slice WHERE job_id = %s AND series_id = %s)",
            [job_id, series_id, account_id, window.start, window.end, job_id, series_id],
        )
        return bool(cursor.rowcount)
