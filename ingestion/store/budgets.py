"""Take permits from the budgets that PostgreSQL keeps.

The account's row is the latch: whoever holds it may read and write the account's budgets and
those of its jobs, so that one send time is the latest over all limits and is entered in each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from ingestion.domain import pacing
from ingestion.domain.windows import from_us, to_us
from providers.base import RateLimit

GUARD_MS = 160
PERMIT_GOOD_SECONDS = 0.08

_COLUMNS = (
    "id, job_id, algorithm, n, window_ms, guard_ms, cost, sends, tat, stretch, stretched_at,"
    " learned_floor, day, reset_tz, used, reserve_pct"
)


@dataclass(frozen=True, slots=True)
class Gate:
    """Hold what the account's row says while it is locked; times are µs of PostgreSQL's clock."""

    now_us: int
    blocked_until_us: int
    is_open: bool
    max_in_flight: int

    def is_blocked(self) -> bool:
        """Tell whether no request may leave now."""
        return not self.is_open or self.blocked_until_us > self.now_us


@dataclass(frozen=True, slots=True)
class Ledger:
    """Hold locked budgets: ids beside domain budgets, the account's and each job's."""

    account: tuple[tuple[int, pacing.Budget], ...]
    jobs: dict[int, tuple[tuple[int, pacing.Budget], ...]]


def lock_account(account_id: int) -> Gate:
    """Lock the account's row until the transaction ends and read its state."""
    with connection.cursor() as cursor:
        # The clock is read outside the CTE: after the row, which may have been waited for.
        cursor.execute(
            "WITH locked AS MATERIALIZED (SELECT blocked_until,"
            " enabled AND circuit = 'closed' AS is_open, max_in_flight"
            " FROM account WHERE id = %s FOR NO KEY UPDATE)"
            " SELECT clock_timestamp(), * FROM locked",
            [account_id],
        )
        now, blocked_until, is_open, max_in_flight = cursor.fetchone()
    return Gate(
        now_us=to_us(now),
        blocked_until_us=to_us(blocked_until) if blocked_until else 0,
        is_open=is_open,
        max_in_flight=max_in_flight,
    )


def lock_budgets(account_id: int, job_ids: Iterable[int]) -> Ledger:
    """Lock and read the budgets of an account and of some of its jobs, in id order."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM budget WHERE account_id = %s OR job_id = ANY(%s)"
            " ORDER BY id FOR UPDATE",
            [account_id, sorted(set(job_ids))],
        )
        rows = cursor.fetchall()
    account: list[tuple[int, pacing.Budget]] = []
    jobs: dict[int, tuple[tuple[int, pacing.Budget], ...]] = {}
    for row in rows:
        budget = _to_domain(row)
        if row[1] is None:
            account.append((row[0], budget))
        else:
            jobs[row[1]] = (*jobs.get(row[1], ()), (row[0], budget))
    return Ledger(account=tuple(account), jobs=jobs)


def job_budgets(account_id: int, *, jobs: int) -> dict[int, list[pacing.Budget]]:
    """Read the own limits of the first running jobs of an account, without locking them.

    Under the account's latch nobody else may change them.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM budget WHERE job_id IN (SELECT id FROM job"
            "   WHERE account_id = %s AND state = 'running' AND desired = 'run'"
            "   ORDER BY priority DESC, vtime LIMIT %s)",
            [account_id, jobs],
        )
        rows = cursor.fetchall()
    own: dict[int, list[pacing.Budget]] = {}
    for row in rows:
        own.setdefault(row[1], []).append(_to_domain(row))
    return own


def save_budgets(budgets: Sequence[tuple[int, pacing.Budget]]) -> None:
    """Write back budgets that are locked by this transaction."""
    with connection.cursor() as cursor:
        for budget_id, budget in budgets:
            match budget:
                case pacing.LogBudget():
                    cursor.execute(
                        "UPDATE budget SET sends = %s::timestamptz[] WHERE id = %s",
                        [[from_us(send) for send in budget.sends], budget_id],
                    )
                case pacing.GcraBudget():
                    cursor.execute(
                        "UPDATE budget SET tat = %s WHERE id = %s",
                        [from_us(budget.tat_us), budget_id],
                    )
                case pacing.QuotaBudget():
                    cursor.execute(
                        "UPDATE budget SET day = %s, used = %s WHERE id = %s",
                        [budget.day, budget.used, budget_id],
                    )


def save_pace(budget_id: int, budget: pacing.RateBudget) -> None:
    """Write back what a throttle taught."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE budget SET stretch = %s, stretched_at = %s, learned_floor = %s WHERE id = %s",
            [
                budget.pace.stretch,
                from_us(budget.pace.stretched_at_us),
                budget.pace.learned_floor,
                budget_id,
            ],
        )


def note_pace(account_id: int, *, until_us: int) -> None:
    """Remember when the budgets next allow a request, so that no worker waits for it in vain."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE account SET paced_until = %s WHERE id = %s", [from_us(until_us), account_id]
        )


def block_account(account_id: int, *, seconds: float) -> None:
    """Send nothing for some seconds; an earlier block is never shortened."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE account SET blocked_until ="
            " greatest(blocked_until, clock_timestamp() + make_interval(secs => %s))"
            " WHERE id = %s",
            [seconds, account_id],
        )


def open_circuit(account_id: int, *, reason: str) -> bool:
    """Stop the account until a person acts; True for the one caller who found it closed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE account SET circuit = 'open', circuit_reason = %s"
            " WHERE id = %s AND circuit = 'closed'",
            [reason, account_id],
        )
        return bool(cursor.rowcount)


def close_circuit(account_id: int) -> bool:
    """Let the account send again; True if it had been stopped."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE account SET circuit = 'closed', circuit_reason = ''"
            " WHERE id = %s AND circuit = 'open'",
            [account_id],
        )
        return bool(cursor.rowcount)


def add_limits(limits: Sequence[RateLimit], *, account_id: int | None, job_id: int | None) -> None:
    """Create one budget row per limit, for an account or for a job."""
    with connection.cursor() as cursor:
        for limit in limits:
            window_ms = int(limit.window.total_seconds() * 1000)
            budget = pacing.rate_budget(n=limit.n, window_us=window_ms * 1000)
            cursor.execute(
                "INSERT INTO budget (account_id, job_id, endpoint, algorithm, n, window_ms,"
                " guard_ms, cost, sends, stretch, reset_tz, used, reserve_pct)"
                " VALUES (%s, %s, 'bars', %s, %s, %s, %s, 1, '{}', 1, 'UTC', 0, 0)",
                [
                    account_id,
                    job_id,
                    "log" if isinstance(budget, pacing.LogBudget) else "gcra",
                    limit.n,
                    window_ms,
                    GUARD_MS,
                ],
            )


def _to_domain(row: tuple[Any, ...]) -> pacing.Budget:
    (_, _, algorithm, n, window_ms, guard_ms, cost, sends, tat) = row[:9]
    (stretch, stretched_at, learned_floor, day, reset_tz, used, reserve_pct) = row[9:]
    pace = pacing.Pace(
        stretch=stretch,
        stretched_at_us=to_us(stretched_at) if stretched_at else 0,
        learned_floor=learned_floor or 1.0,
    )
    if algorithm == "log":
        return pacing.LogBudget(
            n=n,
            window_us=window_ms * 1000,
            guard_us=guard_ms * 1000,
            sends=tuple(to_us(send) for send in sends),
            cost=cost,
            pace=pace,
        )
    if algorithm == "gcra":
        return pacing.GcraBudget(
            n=n,
            window_us=window_ms * 1000,
            guard_us=guard_ms * 1000,
            tat_us=to_us(tat) if tat else 0,
            cost=cost,
            pace=pace,
        )
    return pacing.QuotaBudget(
        n=n,
        reset_tz=reset_tz,
        day=day,
        used=used,
        reserve=n * reserve_pct // 100,
        guard_us=guard_ms * 1000,
        cost=cost,
    )
