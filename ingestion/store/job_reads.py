"""Read jobs, their slices and their attempts; every query is bounded by a job or a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from ingestion.domain.states import Desired, JobKind, JobState, Outcome, SliceState, Workload

SYMBOLS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class JobRow:
    """Hold one job with its account and definition; `symbols` are the first few of
    `symbol_count`, `timeframes` are all."""

    id: int
    workload: Workload
    kind: JobKind
    state: JobState
    desired: Desired
    desired_at: datetime
    outcome: Outcome | None
    wait_reason: str
    wait_until: datetime | None
    priority: int
    tries: int
    retry_class: str
    retry_delay: float | None
    validate: bool
    max_concurrency: int
    slices_per_round: int
    poll_seconds: int | None
    planned: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error_class: str
    error: str
    definition: str | None
    freshness: timedelta | None
    deadline: timedelta | None
    provider: str
    account_id: int
    circuit: str
    circuit_reason: str
    blocked_until: datetime | None
    paced_until: datetime | None
    series_count: int
    symbol_count: int
    symbols: tuple[str, ...]
    timeframes: tuple[str, ...]
    targets: tuple[str, ...] | None


_JOBS = """
SELECT j.id, j.workload, j.kind, j.state, j.desired, j.desired_at, j.outcome,
       j.wait_reason, j.wait_until, j.priority, j.tries, j.retry_class,
       j.retry_delay, j.validate, j.max_concurrency, j.max_slices_per_round,
       j.poll_seconds, j.planned, j.created_at, j.started_at, j.ended_at, j.error_class, j.error,
       d.name, d.freshness, d.deadline,
       a.provider, a.id, a.circuit, a.circuit_reason, a.blocked_until, a.paced_until,
       s.series_count, s.symbol_count, s.symbols, s.timeframes, j.targets
FROM (
    SELECT * FROM job
    WHERE (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
      AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
      AND (%(accounts)s::bigint[] IS NULL OR account_id = ANY(%(accounts)s))
      AND (%(before)s::bigint IS NULL OR id < %(before)s)
    ORDER BY id DESC
    LIMIT %(limit)s
) j
JOIN account a ON a.id = j.account_id
LEFT JOIN job_definition d ON d.id = j.definition_id
CROSS JOIN LATERAL (
    SELECT count(*) AS series_count,
           count(DISTINCT e->>'symbol') AS symbol_count,
           (array_agg(DISTINCT e->>'symbol'))[1:%(shown)s] AS symbols,
           array_agg(DISTINCT e->>'timeframe') AS timeframes
    FROM jsonb_array_elements(j.spec->'series') e
) s
ORDER BY j.id DESC
"""


def select_jobs(
    *,
    ids: Sequence[int] | None = None,
    states: Sequence[JobState] | None = None,
    provider: str | None = None,
    before_id: int | None = None,
    limit: int,
) -> list[JobRow]:
    """Return at most `limit` jobs, newest first, that pass every filter given."""
    with connection.cursor() as cursor:
        accounts = None
        if provider is not None:
            cursor.execute("SELECT id FROM account WHERE provider = %s", [provider])
            accounts = [account_id for (account_id,) in cursor.fetchall()]
        cursor.execute(
            _JOBS,
            {
                "ids": None if ids is None else list(ids),
                "states": None if states is None else [state.value for state in states],
                "accounts": accounts,
                "before": before_id,
                "limit": limit,
                "shown": SYMBOLS_SHOWN,
            },
        )
        return [_job_row(row) for row in cursor.fetchall()]


def _job_row(row: tuple[Any, ...]) -> JobRow:
    enums = (Workload(row[1]), JobKind(row[2]), JobState(row[3]), Desired(row[4]))
    outcome = Outcome(row[6]) if row[6] else None
    lists = (tuple(row[34] or ()), tuple(row[35] or ()))
    targets = None if row[36] is None else tuple(row[36])
    return JobRow(*[row[0], *enums, row[5], outcome, *row[7:34], *lists, targets])


def select_spec(job_id: int) -> dict[str, Any] | None:
    """Return the frozen request of a job as stored, or None where there is no such job."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT spec FROM job WHERE id = %s", [job_id])
        row = cursor.fetchone()
    return None if row is None else _object(row[0])


@dataclass(frozen=True, slots=True)
class SliceTally:
    """Count slices of one job by state; `rows` were stored by the done ones."""

    ready: int = 0
    leased: int = 0
    done: int = 0
    dead: int = 0
    superseded: int = 0
    cancelled: int = 0
    rows: int = 0

    @property
    def total(self) -> int:
        """Return how many slices there are to do, without those that others took over."""
        return self.ready + self.leased + self.done + self.dead + self.cancelled

    @property
    def settled(self) -> int:
        """Return how many slices have been worked off, well or badly."""
        return self.done + self.dead

    def __add__(self, other: SliceTally) -> SliceTally:
        return SliceTally(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def tally_jobs(job_ids: Sequence[int]) -> dict[int, SliceTally]:
    """Count the slices of each job; jobs without any are absent."""
    return _tally("job_id", "job_id = ANY(%s)", [list(job_ids)])


def tally_series(job_id: int) -> dict[int, SliceTally]:
    """Count the slices of each series of a job; series without any are absent."""
    return _tally("series_id", "job_id = %s", [job_id])


def _tally(key: str, condition: str, values: list[Any]) -> dict[int, SliceTally]:
    counts: dict[int, dict[str, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {key}, state, count(*), sum(rows) FROM slice"
            f" WHERE {condition} GROUP BY {key}, state",
            values,
        )
        for owner, state, n, rows in cursor.fetchall():
            tally = counts.setdefault(owner, {"rows": 0})
            tally[SliceState(state).value] = n
            tally["rows"] += int(rows)
    return {owner: SliceTally(**tally) for owner, tally in counts.items()}


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """Hold how far a job has durably come in one series."""

    series_id: int
    frontier: datetime
    ts: datetime | None
    sequence: int
    updated_at: datetime


def select_checkpoints(job_id: int) -> dict[int, CheckpointRow]:
    """Return the checkpoints of a job by series."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT series_id, frontier, ts, sequence, updated_at FROM checkpoint"
            " WHERE job_id = %s",
            [job_id],
        )
        return {row[0]: CheckpointRow(*row) for row in cursor.fetchall()}


def most_tries(job_id: int) -> dict[int, int]:
    """Return, per series of a job, the most tries that one of its slices has used."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT series_id, max(tries) FROM slice WHERE job_id = %s GROUP BY series_id",
            [job_id],
        )
        return dict(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class NextRetry:
    """Name the slice that is tried again first, and how many wait for another try."""

    at: datetime
    slice_id: int
    series_id: int
    tries: int
    error_class: str
    error: str
    waiting: int


def next_retry(job_id: int) -> NextRetry | None:
    """Return the earliest retry among the slices of a job that have failed before."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT next_attempt_at, id, series_id, tries, error_class, error, count(*) OVER ()"
            " FROM slice WHERE job_id = %s AND state = 'ready' AND error_class <> ''"
            " ORDER BY next_attempt_at, id LIMIT 1",
            [job_id],
        )
        row = cursor.fetchone()
    return None if row is None else NextRetry(*row)


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Gather dead slices that failed alike; `sample` is the error of the newest one."""

    error_class: str
    slices: int
    series: int
    symbols: tuple[str, ...]
    sample: str


def group_failures(job_id: int) -> list[FailureGroup]:
    """Group the dead slices of a job by error class, largest group first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.error_class, count(*), count(DISTINCT s.series_id),"
            " (array_agg(DISTINCT i.symbol))[1:%(shown)s],"
            " (array_agg(s.error ORDER BY s.id DESC))[1]"
            " FROM slice s JOIN series r ON r.id = s.series_id"
            " JOIN instrument i ON i.id = r.instrument_id"
            " WHERE s.job_id = %(job)s AND s.state = 'dead'"
            " GROUP BY s.error_class ORDER BY count(*) DESC, s.error_class",
            {"job": job_id, "shown": SYMBOLS_SHOWN},
        )
        return [
            FailureGroup(name, slices, series, tuple(symbols), sample)
            for name, slices, series, symbols, sample in cursor.fetchall()
        ]


def jobs_with_failures(*, limit: int) -> list[int]:
    """List the jobs that hold dead slices, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT job_id FROM slice WHERE state = 'dead' ORDER BY job_id LIMIT %s",
            [limit],
        )
        return [job_id for (job_id,) in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class WorkerPulse:
    """Tell how many executors were heard of lately, when the last was, and what time it is."""

    alive: int
    last_seen: datetime | None
    now: datetime


def worker_pulse(*, within: timedelta) -> WorkerPulse:
    """Count the executors heard of within a span, by PostgreSQL's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE"
            "   last_seen > clock_timestamp() - make_interval(secs => %s)),"
            " max(last_seen), clock_timestamp() FROM executor",
            [within.total_seconds()],
        )
        return WorkerPulse(*cursor.fetchone())


def earliest_due(job_id: int) -> datetime | None:
    """Return when the first open slice of a job was, or will be, due for somebody's care.

    A ready slice is due at its next attempt, a leased one when its lease runs out.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT least("
            " (SELECT s.next_attempt_at FROM slice s WHERE s.job_id = j.id"
            "  AND s.account_id = j.account_id AND s.state = 'ready'"
            "  ORDER BY s.next_attempt_at LIMIT 1),"
            " (SELECT min(s.lease_until) FROM slice s WHERE s.job_id = j.id"
            "  AND s.state = 'leased'))"
            " FROM job j WHERE j.id = %s",
            [job_id],
        )
        row = cursor.fetchone()
    return row[0] if row else None


@dataclass(frozen=True, slots=True)
class EventRow:
    """Hold one act of the audit ledger."""

    id: int
    at: datetime
    actor: str
    source: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str


def select_events(job_id: int, *, after_id: int, limit: int) -> list[EventRow]:
    """Return the acts on a job, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, at, actor, source, action, before, after, reason FROM audit_event"
            " WHERE object_type = 'job' AND object_id = %s AND id > %s ORDER BY id LIMIT %s",
            [str(job_id), after_id, limit],
        )
        return [
            EventRow(*[*row[:5], _object(row[5]), _object(row[6]), row[7]])
            for row in cursor.fetchall()
        ]


def _object(text: str | None) -> dict[str, Any] | None:
    # Django leaves jsonb undecoded outside its own fields.
    return None if text is None else json.loads(text)
