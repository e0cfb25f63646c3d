"""Let executors of this host finish what they have in hand, and take up nothing more."""

from __future__ import annotations

from collections.abc import Collection

from ingestion.store import leases


def drain_executors(*, host: str, pids: Collection[int]) -> int:
    """Tell executors to part; they hear it with their next heartbeat. Returns how many there are.

    What they hold is written or given back at once, so that nobody waits for leases to run out.
    """
    return leases.drain_executors(host=host, pids=pids) if pids else 0
