"""Take over at once from processes that are known to be dead, without waiting for their leases."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from ingestion.store import leases
from ingestion.store.crashpoints import crash_point


def bury_executors(*, host: str, is_alive: Callable[[int, float], bool]) -> int:
    """Let the leases of a host's dead executors run out now; return how many were dead.

    Only a process of the same host can say so; everywhere else the lease's length decides.
    """
    with transaction.atomic():
        gone = [
            executor_id
            for executor_id, pid, born in leases.executors_at_work(host)
            if not is_alive(pid, born)
        ]
        if gone:
            leases.bury_executors(gone)
            crash_point("bury.before_commit")
    if gone:
        crash_point("bury.after_commit")
    return len(gone)
