"""Let PostgreSQL know of a worker process even while it has nothing to do."""

from __future__ import annotations

import threading

import structlog
from django.db import DatabaseError, InterfaceError, connection

from ingestion.process import this_executor
from ingestion.store.leases import register_executor

log = structlog.get_logger(__name__)

PULSE_SECONDS = 5.0


def start_pulse() -> None:
    """Register this process now and every 5 s from a thread of its own, until it ends."""
    threading.Thread(target=_beat, name="pulse", daemon=True).start()


def _beat() -> None:
    executor = this_executor()
    pause = threading.Event()
    while True:
        try:
            register_executor(
                executor_id=executor.id, host=executor.host, pid=executor.pid, born=executor.born
            )
        except (DatabaseError, InterfaceError) as error:
            log.warning("pulse_missed", error=str(error))
            connection.close()
        pause.wait(PULSE_SECONDS)
