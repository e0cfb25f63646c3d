"""Hand permits to fetch threads: the one place where they wait for the budgets."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

from django.db import InterfaceError, OperationalError, connection

from ingestion.domain.windows import from_us
from ingestion.store.budgets import PERMIT_GOOD_SECONDS
from ingestion.store.claim import take_permit
from ingestion.store.clock import ClockReading, read_clock
from ingestion.store.crashpoints import crash_point

_OUTAGE_SECONDS = 1.0


class NoPermit(Exception):
    """Signal that the budgets allow nothing soon; the slice is given back for `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no request may be sent for {seconds:.1f} s")
        self.seconds = seconds


def permit_at(send_us: int, *, clock: ClockReading) -> tuple[float, float]:
    """Return (earliest, latest) on the monotonic clock for a send time on PostgreSQL's.

    The reading of the clock took a moment: counting from its end, a request is never early; from
    its begin, never too late.
    """
    begin, end = clock.moments(send_us)
    return end, begin + PERMIT_GOOD_SECONDS


class PermitDesk:
    """Take permits over one connection of its own, so that fetch threads need none.

    A permit is (earliest, latest) on the monotonic clock.
    """

    EXPIRED: Final = (0.0, 0.0)
    # Longer than this, the slice is given back rather than held.
    PATIENCE = 8.0

    def __init__(self, account_id: int) -> None:
        self._account_id = account_id
        self._closing = threading.Event()
        self._desk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="permits")
        self._clock = read_clock()

    def database_time(self) -> datetime:
        """Return PostgreSQL's clock as read once and carried on by the monotonic clock."""
        middle = (self._clock.before + self._clock.after) / 2
        return from_us(self._clock.now_us) + timedelta(seconds=time.monotonic() - middle)

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
        self._desk.submit(_hang_up)
        self._desk.shutdown(wait=False)

    def _take(self, job_id: int, *, begun: float) -> tuple[float, float]:
        while True:
            if self._closing.is_set():
                raise NoPermit(0.0)
            permit, granted = self._desk.submit(self._ask, job_id).result()
            if granted:
                return permit
            seconds = max(0.0, permit[0] - time.monotonic())
            if time.monotonic() - begun + seconds > self.PATIENCE:
                raise NoPermit(seconds)
            self._closing.wait(seconds)

    def _ask(self, job_id: int) -> tuple[tuple[float, float], bool]:
        try:
            send_us, granted = take_permit(account_id=self._account_id, job_id=job_id)
            crash_point("permit.after_commit")
            return permit_at(send_us, clock=read_clock()), granted
        except (OperationalError, InterfaceError) as error:
            # The slice is not to blame that PostgreSQL is away: it burns no try.
            connection.close()
            raise NoPermit(_OUTAGE_SECONDS) from error


def _hang_up() -> None:
    """Close the connection of the thread that calls this, not of the one that asked for it."""
    connection.close()
