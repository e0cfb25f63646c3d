"""Commit results from one thread, in batches that grow with the time a commit takes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from ingestion.services.fail_slices import fail_slice, give_back
from ingestion.services.fetch_slice import Failed, Fetched, Yielded
from ingestion.services.finish_slices import finish_covered, finish_slices
from ingestion.services.heart import Heart
from ingestion.store.claim import LEASE, Claimed

log = structlog.get_logger(__name__)

SLICES_PER_COMMIT = 100
ROWS_PER_COMMIT = 100_000
BACKLOG_SLICES = 200
BACKLOG_ROWS = 200_000
_LINGER = 0.02
_RETRY_PAUSE = 0.5

Result = Fetched | Failed | Yielded


class Committer:
    """Write what fetch threads produced; counts are for the run's report."""

    def __init__(self, *, account_id: int, executor_id: UUID, heart: Heart) -> None:
        self.slices = self.rows = self.inserted = self.failed = self.fenced = 0
        self.backlog = 0
        self._backlog_rows = 0
        self._failure: Exception | None = None
        self._heart = heart
        self._account_id = account_id
        self._executor_id = executor_id
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Result | list[Claimed] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    @property
    def has_room(self) -> bool:
        """Tell whether more may be claimed: what waits to be written is bounded."""
        return self.backlog < BACKLOG_SLICES and self._backlog_rows < BACKLOG_ROWS

    def add(self, result: Result) -> None:
        """Take over one result."""
        self._grow(1, _rows(result))
        self._queue.put(result)

    def skip(self, claimed: list[Claimed]) -> None:
        """Take over slices of which nothing is wanted any more."""
        if claimed:
            self._grow(len(claimed), 0)
            self._queue.put(claimed)

    def close(self) -> None:
        """Write what is left and give the connection back; raises what went wrong before."""
        self._queue.put(None)
        self._thread.join()
        self.check()

    def check(self) -> None:
        """Raise what made the committer stop, if anything did."""
        if self._failure is not None:
            raise self._failure

    def _grow(self, slices: int, rows: int) -> None:
        with self._lock:
            self.backlog += slices
            self._backlog_rows += rows

    def _run(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._next_batch()
            try:
                self._commit(batch)
            except Exception as error:  # noqa: BLE001 handed to the run's own thread, which raises it
                self._failure = error
                closing = True
            for item in batch:
                claimed = item if isinstance(item, list) else [item.claimed]
                self._heart.let_go(claimed)
                self._grow(-len(claimed), -_rows(item))
        connection.close()

    def _next_batch(self) -> tuple[list[Result | list[Claimed]], bool]:
        """Wait for a result, then take what has come meanwhile, up to a commit's worth."""
        batch: list[Result | list[Claimed]] = []
        rows, until = 0, 0.0
        while len(batch) < SLICES_PER_COMMIT and rows < ROWS_PER_COMMIT:
            try:
                item = (
                    self._queue.get(timeout=max(0.0, until - time.monotonic()))
                    if batch
                    else (self._queue.get())
                )
            except queue.Empty:
                break
            if item is None:
                return batch, True
            batch.append(item)
            rows += _rows(item)
            until = until or time.monotonic() + _LINGER
        return batch, False

    def _commit(self, batch: Sequence[Result | list[Claimed]]) -> None:
        fetched = [item for item in batch if isinstance(item, Fetched)]
        if fetched:
            self._patiently(lambda: self._finish(fetched))
        for item in batch:
            if isinstance(item, Failed):
                self.failed += 1
                self._patiently(self._failing(item))
            elif isinstance(item, Yielded):
                self._patiently(self._giving_back(item))
            elif isinstance(item, list):
                self._patiently(self._skipping(item))

    def _failing(self, item: Failed) -> Callable[[], object]:
        return lambda: fail_slice(item, account_id=self._account_id, executor_id=self._executor_id)

    def _giving_back(self, item: Yielded) -> Callable[[], object]:
        return lambda: give_back(item, account_id=self._account_id, executor_id=self._executor_id)

    def _skipping(self, item: list[Claimed]) -> Callable[[], object]:
        return lambda: finish_covered(
            item, account_id=self._account_id, executor_id=self._executor_id
        )

    def _finish(self, fetched: Sequence[Fetched]) -> None:
        """Commit a batch; if anything but the connection fails, find the culprit one by one."""
        try:
            self._count(fetched)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 the culprit is named below, each slice on its own
            if len(fetched) == 1:
                self._blame(fetched[0], error)
                return
            log.warning("batch_split", slices=len(fetched), error=str(error))
            for one in fetched:
                self._finish([one])

    def _count(self, fetched: Sequence[Fetched]) -> None:
        done = finish_slices(fetched, account_id=self._account_id, executor_id=self._executor_id)
        self.slices += done.slices
        self.rows += done.rows
        self.inserted += done.inserted
        self.fenced += done.fenced

    def _blame(self, one: Fetched, error: Exception) -> None:
        failed = Failed(
            claimed=one.claimed,
            facts=one.facts,
            error=error,
            sent_at=one.tally.begun_at,
            tally=one.tally,
            refused=one.refused,
            rows_in=one.rows_in,
        )
        self.failed += 1
        fail_slice(failed, account_id=self._account_id, executor_id=self._executor_id)

    def _patiently(self, write: Callable[[], object]) -> None:
        """Try again while PostgreSQL is away: the lease holds, and the token fences the rest.

        After a lease's length the result is dropped; the reaper has given the slice to another.
        """
        give_up_at = time.monotonic() + LEASE.total_seconds()
        while True:
            try:
                write()
            except (DatabaseError, InterfaceError) as error:
                connection.close()
                if time.monotonic() >= give_up_at:
                    log.warning("result_dropped", error=str(error))
                    return
                log.warning("commit_retried", error=str(error))
                threading.Event().wait(_RETRY_PAUSE)
            else:
                return


def _rows(item: Result | list[Claimed]) -> int:
    return len(item.bars) if isinstance(item, Fetched) else 0
