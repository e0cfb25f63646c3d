"""Hand slices to a worker, each with the moment at which its request may leave.

Lock order: account row (the latch over its budgets), budgets by id, jobs by id, slices by id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

from ingestion.domain import pacing
from ingestion.domain.states import JobKind
from ingestion.domain.windows import from_us
from ingestion.store import budgets
from ingestion.store.crashpoints import crash_point

LEASE = timedelta(seconds=15)
HORIZON_US = 1_000_000
# Who was told to wait asks again so long before the send time, or each window would begin late.
ASK_AHEAD_US = HORIZON_US // 2
JOBS_IN_RACE = 200
_REFETCHING = [kind.value for kind in JobKind if kind.refetches]

# A window that another lease is fetching is left alone: when it is covered, this one is free.
# (A scalar subquery, because an anti-join would compare each candidate with every lease.)
# A retry that comes too late to matter is left to the sweep that drops it.
# What coverage and proofs already hold is subtracted here, before any permit is taken. (LIMIT 1
# keeps the planner from reading all coverage where it expects many candidates.)
_CANDIDATES = """
WITH race AS (
    SELECT id, kind, priority, vtime, retry_class, retry_delay, validate, stale_at,
           tries AS max_tries,
           least(max_slices_per_round, max_concurrency - (
               SELECT count(*) FROM slice l WHERE l.job_id = job.id AND l.lease_token IS NOT NULL
           )) AS free
    FROM job
    WHERE account_id = %(account)s AND state = 'running' AND desired = 'run'
    ORDER BY priority DESC, vtime
    LIMIT %(jobs)s
), found AS (
    SELECT r.id AS job_id, r.kind, r.priority, r.vtime, r.retry_class, r.retry_delay, r.validate,
           r.stale_at, r.max_tries, s.*
    FROM race r
    CROSS JOIN LATERAL (
        SELECT s.id, s.series_id, s.next_attempt_at, s.tries, s.crashes, s.suspect,
               tstzrange(coalesce(s.resume_from, lower(s."window")), upper(s."window")) AS todo
        FROM slice s
        WHERE r.id <> ALL(%(held)s)
          AND s.job_id = r.id AND s.account_id = %(account)s AND s.state = 'ready'
          AND s.next_attempt_at <= %(now)s
          AND s.suspect = %(suspects)s
          AND (r.stale_at > %(now)s OR r.stale_at IS NULL OR s.leased_at IS NULL)
          AND (SELECT 1 FROM slice l
               WHERE l.series_id = s.series_id AND l.lease_until IS NOT NULL
                 AND l."window" && s."window" LIMIT 1) IS NULL
        ORDER BY s.next_attempt_at, s.id
        LIMIT greatest(r.free, 0)
    ) s
    ORDER BY r.priority DESC, r.vtime, s.next_attempt_at, s.id
    LIMIT %(k)s
)
SELECT f.id, f.job_id, f.series_id, f.tries, f.crashes, f.suspect, f.retry_class, f.retry_delay,
       f.validate, f.stale_at, f.max_tries,
       f.kind = ANY(%(refetching)s) OR coalesce(c.doubted && f.todo, false),
       lower(f.todo), upper(f.todo), lower(left_over), upper(left_over)
FROM found f
LEFT JOIN LATERAL (
    SELECT loaded, doubted FROM coverage WHERE series_id = f.series_id LIMIT 1
) c ON true
CROSS JOIN LATERAL (
    SELECT CASE WHEN f.kind = ANY(%(refetching)s) THEN tstzmultirange(f.todo)
           ELSE tstzmultirange(f.todo)
                - coalesce(c.loaded, '{}')
                - coalesce((SELECT range_agg(p."window") FROM empty_proof p
                            WHERE p.series_id = f.series_id AND p."window" && f.todo
                              AND p.expires_at > %(now)s), '{}')
           END AS left_over
) l
ORDER BY f.priority DESC, f.vtime, f.next_attempt_at, f.id
"""

# A job that always had work due is never further behind its foremost peer than that one's last
# round: who is had nothing due meanwhile, and is not owed what it did not ask for.
_LEASE = """
WITH given AS (
    SELECT * FROM unnest(%(ids)s::bigint[], %(begun)s::timestamptz[]) AS g(id, begun_at)
), mine AS (
    SELECT s.id FROM slice s JOIN given USING (id)
    WHERE s.state = 'ready' ORDER BY s.id FOR UPDATE OF s SKIP LOCKED
), leased AS (
    UPDATE slice s
    SET state = 'leased', lease_token = gen_random_uuid(), executor_id = %(executor)s,
        leased_at = clock_timestamp(), begun_at = given.begun_at,
        lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
    FROM given JOIN mine USING (id)
    WHERE s.id = given.id
    RETURNING s.id, s.job_id, s.lease_token, s.leased_at
), charged AS (
    UPDATE job SET vtime = greatest(vtime, (
        SELECT o.vtime - o.max_slices_per_round::float8 / o.weight FROM job o
        WHERE o.account_id = job.account_id AND o.priority = job.priority
          AND o.state = 'running' AND o.desired = 'run'
        ORDER BY o.vtime DESC LIMIT 1
    )) + c.n::float8 / weight
    FROM (SELECT job_id, count(*) AS n FROM leased GROUP BY job_id) c
    WHERE job.id = c.job_id
)
SELECT id, lease_token, leased_at FROM leased
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Hold one leased slice.

    `start` and `end` bound what is still wanted; `send_us` is the permit's send time on
    PostgreSQL's clock; `covered` means that nothing is wanted any more and no request may be made.
    `refetch` means that bars may be stored of it, which are compared with what comes;
    `retry_delay`, `validate` and `stale_at` are the job's.
    """

    slice_id: int
    job_id: int
    series_id: int
    token: UUID
    leased_at: datetime
    start: datetime
    end: datetime
    tries: int
    max_tries: int
    crashes: int
    suspect: bool
    retry_class: str
    refetch: bool
    covered: bool
    send_us: int
    retry_delay: float | None = None
    validate: bool = True
    stale_at: datetime | None = None


class _Candidate(NamedTuple):
    """Hold a row of _CANDIDATES: `wanted` is what coverage leaves of [start, end), if anything."""

    slice_id: int
    job_id: int
    series_id: int
    tries: int
    crashes: int
    suspect: bool
    retry_class: str
    retry_delay: float | None
    validate: bool
    stale_at: datetime | None
    max_tries: int
    refetch: bool
    start: datetime
    end: datetime
    wanted_start: datetime | None
    wanted_end: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """Hold the outcome of one claim; `wait` is seconds until asking again can succeed."""

    slices: tuple[Claimed, ...]
    wait: float
    suspects_waiting: bool


def claim(*, account_id: int, executor_id: UUID, k: int, idle: bool) -> Claim:
    """Lease up to k due slices of an account, in order of priority and virtual time.

    A suspect slice (one that was at work in a process that died) is given out alone, to an
    executor that is `idle`, and before all others. A job that waits for its own limit, or a
    suspect that cannot be given now, holds nobody else back.
    """
    with transaction.atomic():
        gate = budgets.lock_account(account_id)
        if gate.is_blocked():
            wait = (gate.blocked_until_us - gate.now_us) / 1e6 if gate.is_open else 5.0
            return Claim(slices=(), wait=max(wait, 0.2), suspects_waiting=False)
        now = from_us(gate.now_us)
        held = _held_back(account_id, now_us=gate.now_us)
        rows: list[_Candidate] = []
        if _suspects_wait(account_id, now):
            rows = _candidates(account_id, now=now, k=1, held=held, suspects=True)
            if rows and not idle:
                return Claim(slices=(), wait=0.2, suspects_waiting=True)
        rows = rows or _candidates(account_id, now=now, k=k, held=held, suspects=False)
        if not rows:
            return Claim(slices=(), wait=0.2, suspects_waiting=False)
        rows = _disjoint(rows)
        ledger = budgets.lock_budgets(account_id, {row.job_id for row in rows})
        rows = _lock_jobs(rows)
        given, wait = _permit(rows, ledger=ledger, now_us=gate.now_us)
        if not given:
            # Only the account's own limits hold for everybody; a job's limit holds back that job.
            send = pacing.next_send([budget for _, budget in ledger.account], gate.now_us)
            if send > gate.now_us + HORIZON_US:
                budgets.note_pace(account_id, until_us=send)
            return Claim(slices=(), wait=wait, suspects_waiting=False)
        leased = _lease(given, executor_id=executor_id)
        crash_point("claim.before_commit")
        return Claim(slices=leased, wait=0.0, suspects_waiting=False)


def _held_back(account_id: int, *, now_us: int) -> list[int]:
    """List the jobs in the race whose own limits allow nothing within the horizon."""
    own = budgets.job_budgets(account_id, jobs=JOBS_IN_RACE)
    return [
        job_id
        for job_id, limits in own.items()
        if pacing.next_send(limits, now_us) > now_us + HORIZON_US
    ]


def _candidates(
    account_id: int, *, now: datetime, k: int, held: list[int], suspects: bool
) -> list[_Candidate]:
    with connection.cursor() as cursor:
        cursor.execute(
            _CANDIDATES,
            {
                "account": account_id,
                "jobs": JOBS_IN_RACE,
                "held": held,
                "now": now,
                "k": k,
                "suspects": suspects,
                "refetching": _REFETCHING,
            },
        )
        return [_Candidate(*row) for row in cursor.fetchall()]


def _suspects_wait(account_id: int, now: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM slice s JOIN job j ON j.id = s.job_id"
            " WHERE s.account_id = %s AND s.state = 'ready' AND s.suspect"
            " AND s.next_attempt_at <= %s AND j.state = 'running' AND j.desired = 'run')",
            [account_id, now],
        )
        return bool(cursor.fetchone()[0])


def _disjoint(rows: list[_Candidate]) -> list[_Candidate]:
    """Drop candidates that overlap an earlier one of the same series in this very claim."""
    taken: dict[int, list[tuple[datetime, datetime]]] = {}
    kept = []
    for row in rows:
        windows = taken.setdefault(row.series_id, [])
        if all(row.end <= start or row.start >= end for start, end in windows):
            windows.append((row.start, row.end))
            kept.append(row)
    return kept


def _lock_jobs(rows: list[_Candidate]) -> list[_Candidate]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM job WHERE id = ANY(%s) AND state = 'running' AND desired = 'run'"
            " ORDER BY id FOR NO KEY UPDATE SKIP LOCKED",
            [sorted({row.job_id for row in rows})],
        )
        locked = {job_id for (job_id,) in cursor.fetchall()}
    return [row for row in rows if row.job_id in locked]


def _permit(
    rows: list[_Candidate], *, ledger: budgets.Ledger, now_us: int
) -> tuple[list[tuple[_Candidate, int]], float]:
    """Pair rows with send times; the wait is for the first row that must be left."""
    left = dict(ledger.account)
    jobs = {job_id: dict(own) for job_id, own in ledger.jobs.items()}
    given: list[tuple[_Candidate, int]] = []
    wait = 0.2
    for row in rows:
        if row.wanted_start is None:
            given.append((row, now_us))
            continue
        own = jobs.get(row.job_id, {})
        send = pacing.next_send([*left.values(), *own.values()], now_us)
        if send > now_us + HORIZON_US:
            wait = max(wait, (send - now_us - ASK_AHEAD_US) / 1e6)
            if not own:
                break
            continue
        left = {key: budget.record(send) for key, budget in left.items()}
        jobs[row.job_id] = {key: budget.record(send) for key, budget in own.items()}
        given.append((row, send))
    budgets.save_budgets(
        [item for item in left.items() if item not in ledger.account]
        + [
            item
            for job_id, own in jobs.items()
            for item in own.items()
            if item not in ledger.jobs.get(job_id, ())
        ]
    )
    return given, wait


def _lease(given: list[tuple[_Candidate, int]], *, executor_id: UUID) -> tuple[Claimed, ...]:
    with connection.cursor() as cursor:
        cursor.execute(
            _LEASE,
            {
                "ids": [row.slice_id for row, _ in given],
                "begun": [from_us(send) for _, send in given],
                "executor": executor_id,
                "lease": LEASE.total_seconds(),
            },
        )
        tokens = {slice_id: (token, at) for slice_id, token, at in cursor.fetchall()}
    return tuple(
        Claimed(
            slice_id=row.slice_id,
            job_id=row.job_id,
            series_id=row.series_id,
            token=tokens[row.slice_id][0],
            leased_at=tokens[row.slice_id][1],
            start=row.wanted_start or row.start,
            end=row.wanted_end or row.end,
            tries=row.tries,
            max_tries=row.max_tries,
            crashes=row.crashes,
            suspect=row.suspect,
            retry_class=row.retry_class,
            refetch=row.refetch,
            covered=row.wanted_start is None,
            send_us=send,
            retry_delay=row.retry_delay,
            validate=row.validate,
            stale_at=row.stale_at,
        )
        for row, send in given
        if row.slice_id in tokens
    )


def take_permit(*, account_id: int, job_id: int) -> tuple[int, bool]:
    """Take one permit for a further page: its send time on PostgreSQL's clock in µs, and True.

    False means that the budgets allow nothing within the horizon; the time is then the one from
    which asking again can succeed.
    """
    with transaction.atomic():
        gate = budgets.lock_account(account_id)
        if gate.is_blocked():
            return max(gate.blocked_until_us, gate.now_us + ASK_AHEAD_US), False
        ledger = budgets.lock_budgets(account_id, [job_id])
        held = [*ledger.account, *ledger.jobs.get(job_id, ())]
        send = pacing.next_send([budget for _, budget in held], gate.now_us)
        if send > gate.now_us + HORIZON_US:
            return send - ASK_AHEAD_US, False
        budgets.save_budgets([(key, budget.record(send)) for key, budget in held])
        crash_point("permit.before_commit")
        return send, True
