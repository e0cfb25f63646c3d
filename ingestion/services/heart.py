"""Keep a run's leases alive from a thread of its own, and hear what people want."""

from __future__ import annotations

import functools
import threading
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, connection

from ingestion.store.leases import Orders, heartbeat

log = structlog.get_logger(__name__)

BEAT_SECONDS = 5.0
_QUIET = Orders(stopped_jobs=frozenset(), drain=False, others_starve=False)


class Heart:
    """Send a heartbeat every 5 s until closed; `orders` is what the last one learned."""

    def __init__(self, *, executor_id: UUID, run_id: int, account_id: int, processes: int) -> None:
        self.orders = _QUIET
        self._beat = functools.partial(
            heartbeat,
            executor_id=executor_id,
            run_id=run_id,
            account_id=account_id,
            processes=processes,
        )
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._thread.start()

    def is_stopped(self, job_id: int) -> bool:
        """Tell whether a job was asked to pause or cancel, or the process to drain."""
        return self.orders.drain or job_id in self.orders.stopped_jobs

    def close(self) -> None:
        """Stop beating."""
        self._closing.set()
        self._thread.join(timeout=BEAT_SECONDS)

    def _run(self) -> None:
        while not self._closing.wait(BEAT_SECONDS):
            try:
                self.orders = self._beat()
            except (DatabaseError, InterfaceError) as error:
                # The lease outlives two missed beats; a longer outage ends in the reaper.
                log.warning("heartbeat_missed", error=str(error))
                connection.close()
        connection.close()
