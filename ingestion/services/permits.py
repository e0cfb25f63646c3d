"""Hand permits to fetch threads: the one place where they wait for the budgets."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

from django.db import InterfaceError, OperationalError, connection

from ingestion.store.budgets import PERMIT_GOOD_SECONDS
from ingestion.store.claim import take_permit
from ingestion.store.clock import database_now
from ingestion.store.crashpoints import crash_point

_OUTAGE_SECONDS = 1.0


class NoPermit(Exception):
    """Signal that the budgets allow nothing soon; the slice is given back for `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no request may be sent for {seconds:.1f} s")
        self.seconds = seconds


class PermitDesk:
    """Take permits over one connection of its own, so that fetch threads need none.

    A permit is (earliest, latest) on the monotonic clock. The send time lies on PostgreSQL's clock
    between the moments before and after the query: counting from the later one, a request is never
    early; from the earlier one, never too late.
    """

    EXPIRED: Final = (0.0, 0.0)
    # Longer than this, the slice is given back rather than held.
    PATIENCE = 8.0

    def __init__(self, account_id: int) -> None:
        self._account_id = account_id
        self._closing = threading.Event()
        self._desk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="permits")
        before = time.monotonic()
        now = database_now()
        self._clock = (now, (before + time.monotonic()) / 2)

    def database_time(self) -> datetime:
        """Return PostgreSQL's clock as read once and carried on by the monotonic clock."""
        now, at = self._clock
        return now + timedelta(seconds=time.monotonic() - at)

    def wait(self, permit: tuple[float, float], *, job_id: int, waited: dict[str, float]) -> None:
        """Return at the moment a request may leave; an expired permit is replaced by a new one.

        Adds the seconds waited to `waited["budget"]`. Raises NoPermit.
        """
        begun = time.monotonic()
        earliest, latest = permit
        while True:
            ahead = earliest - time.monotonic()
            if ahead > 0 and self._closing.wait(ahead):
                raise NoPermit(0.0)
            if time.monotonic() <= latest:
                waited["budget"] = round(waited.get("budget", 0.0) + time.monotonic() - begun, 3)
                return
            earliest, latest = self._take(job_id, begun=begun)

    def stop(self) -> None:
        """Wake the waiting threads with NoPermit."""
        self._closing.set()

    def close(self) -> None:
        """Stop, and give the connection back."""
        self.stop()
        self._desk.submit(connection.close)
        self._desk.shutdown(wait=False)

    def _take(self, job_id: int, *, begun: float) -> tuple[float, float]:
        while True:
            if self._closing.is_set():
                raise NoPermit(0.0)
            before, after, seconds, granted = self._desk.submit(self._ask, job_id).result()
            if granted:
                return after + seconds, before + seconds + PERMIT_GOOD_SECONDS
            if time.monotonic() - begun + seconds > self.PATIENCE:
                raise NoPermit(seconds)
            self._closing.wait(seconds)

    def _ask(self, job_id: int) -> tuple[float, float, float, bool]:
        before = time.monotonic()
        try:
            seconds, granted = take_permit(account_id=self._account_id, job_id=job_id)
        except (OperationalError, InterfaceError) as error:
            # The slice is not to blame that PostgreSQL is away: it burns no try.
            connection.close()
            raise NoPermit(_OUTAGE_SECONDS) from error
        crash_point("permit.after_commit")
        return before, time.monotonic(), seconds, granted
