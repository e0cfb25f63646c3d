"""Beat's scheduler: it fires schedules by itself, and sends django-celery-beat's own tasks.

Everything that matters happens in the fire service, whose rows are safe against any number of
callers: the lease only keeps a second beat from doing the same work and sending the same messages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

import structlog
from django.db import DatabaseError, InterfaceError, connection
from django_celery_beat.schedulers import DatabaseScheduler
from kombu.exceptions import OperationalError

from ingestion import clock
from ingestion.calendars import sessions_for
from ingestion.firing import fire_due
from ingestion.process import this_host
from ingestion.services.renew_beat_lease import give_back_beat_lease, renew_beat_lease
from ingestion.store.schedules import venues_in_use
from providers.venues import UnknownVenue

log = structlog.get_logger(__name__)

_RENEW_SECONDS: Final = 2.5
# How often to see whether the broker is back, before the next look at what is due.
_BROKER_TRIES: Final = 1


class SessionScheduler(DatabaseScheduler):  # type: ignore[misc]
    """Wake when the next schedule is due, and no later than a second, so that edits count at once.

    Without a broker schedules go on being fired: their jobs are rows. Neither its loss nor that of
    the database ends beat.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._holder = uuid4()
        self._leads = False
        self._renew_at = 0.0
        self._look_at = 0.0
        self._calendars: threading.Thread | None = None
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Fire what is due, send one due task, and return how many seconds to sleep."""
        try:
            if not self._is_leading():
                return float(self.max_interval)
            self._fire()
            own: float = super().tick(*args, **kwargs)
        except (DatabaseError, InterfaceError) as error:
            log.warning("beat_lost_database", error=str(error))
            connection.close()
            return self._start_over()
        except OperationalError as error:
            log.warning("beat_lost_broker", error=str(error))
            return self._start_over()
        return max(0.0, min(own, self._look_at - time.monotonic()))

    def close(self) -> None:
        """Let another beat lead at once."""
        try:
            if self._leads:
                give_back_beat_lease(holder=self._holder)
        except (DatabaseError, InterfaceError) as error:
            log.warning("beat_lease_kept", error=str(error))
        super().close()

    def _is_leading(self) -> bool:
        if time.monotonic() >= self._renew_at:
            leads = renew_beat_lease(holder=self._holder, host=this_host())
            if leads is not self._leads:
                log.info("beat_leads" if leads else "beat_idles")
            if self._calendars is None:
                self._calendars = _load_calendars(venues_in_use())
            self._leads = leads
            self._renew_at = time.monotonic() + _RENEW_SECONDS
        return self._leads

    def _fire(self) -> None:
        if time.monotonic() < self._look_at:
            return
        report = fire_due()
        wait = float(self.max_interval)
        if report.more:
            wait = 0.0
        elif report.next_fire_at is not None:
            wait = min(wait, clock.seconds_until(report.next_fire_at))
        self._look_at = time.monotonic() + max(0.0, wait)

    def _start_over(self) -> float:
        """Forget what was under way: an entry that could not be sent is lost from the heap."""
        self._heap = None
        return float(self.max_interval)

    def _ensure_connected(self) -> Any:
        # Celery's own would wait for the broker for ever, and nothing would be fired meanwhile.
        return self.connection.ensure_connection(max_retries=_BROKER_TRIES)


def _load_calendars(venues: Sequence[str]) -> threading.Thread:
    """Load calendars beside the work: each takes up to a second, which its first fire would wait.

    Those whose schedules are due first come first.
    """

    def load() -> None:
        for venue in venues:
            try:
                sessions_for(venue)
            except UnknownVenue as error:
                log.warning("beat_without_calendar", error=str(error))

    thread = threading.Thread(target=load, name="calendars", daemon=True)
    thread.start()
    return thread
