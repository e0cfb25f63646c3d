"""Let a command use one of an account's fetch slots for a single request."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction

from ingestion.store import budgets, leases


def open_lookup(
    *, account_id: int, executor_id: UUID, host: str, pid: int, lease: timedelta
) -> bool:
    """Take a fetch slot under an executor of its own; False where none is free.

    The executor is entered as one not heard of, so that nobody takes it for a worker.
    """
    with transaction.atomic():
        budgets.lock_account(account_id)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO executor (id, host, pid, started_at, last_seen, draining)"
                " VALUES (%s, %s, %s, clock_timestamp(), 'epoch', true)",
                [executor_id, host, pid],
            )
        opened = leases.open_run(executor_id=executor_id, account_id=account_id, share=1)
        if opened is None:
            transaction.set_rollback(True)
            return False
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE fetch_run SET lease_until = clock_timestamp() + make_interval(secs => %s)"
                " WHERE id = %s",
                [lease.total_seconds(), opened[0]],
            )
    return True


def close_lookup(executor_id: UUID) -> None:
    """Give the slot back and forget the executor."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM fetch_run WHERE executor_id = %s", [executor_id])
        cursor.execute("DELETE FROM executor WHERE id = %s", [executor_id])


def stopped_because(account_id: int) -> str | None:
    """Return why an account waits for a person; None where it does not."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE WHEN NOT enabled THEN 'it is disabled'"
            " WHEN circuit = 'open' THEN coalesce(circuit_reason, '') END"
            " FROM account WHERE id = %s",
            [account_id],
        )
        (reason,) = cursor.fetchone()
    return None if reason is None else str(reason)
