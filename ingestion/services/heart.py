"""Keep a run's leases alive from a thread of its own, and hear what people want."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, connection

from ingestion.store.claim import Claimed
from ingestion.store.leases import Orders, heartbeat

log = structlog.get_logger(__name__)

BEAT_SECONDS = 5.0
_QUIET = Orders(stopped_jobs=frozenset(), drain=False, others_starve=False)


class Heart:
    """Send a heartbeat every 5 s until closed; `orders` is what the last one learned.

    Only leases in hand are kept alive: those of a claim whose answer was lost, or of a result that
    had to be dropped, run out and are reaped.
    """

    def __init__(self, *, executor_id: UUID, run_id: int, account_id: int, processes: int) -> None:
        self.orders = _QUIET
        self._in_hand: dict[int, UUID] = {}
        self._lock = threading.Lock()
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

    def take(self, claimed: Iterable[Claimed]) -> None:
        """Keep the leases of claimed slices alive from now on."""
        with self._lock:
            self._in_hand.update((one.slice_id, one.token) for one in claimed)

    def let_go(self, claimed: Iterable[Claimed]) -> None:
        """Leave the leases of slices that are written, given back or dropped."""
        with self._lock:
            for one in claimed:
                # A slice that was given back may be in hand again, under another token.
                if self._in_hand.get(one.slice_id) == one.token:
                    del self._in_hand[one.slice_id]

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
                with self._lock:
                    tokens = list(self._in_hand.values())
                self.orders = self._beat(tokens=tokens)
            except (DatabaseError, InterfaceError) as error:
                # The lease outlives two missed beats; a longer outage ends in the reaper.
                log.warning("heartbeat_missed", error=str(error))
                connection.close()
        connection.close()
