"""The Celery application: messages are hints, so nothing here decides anything."""

from __future__ import annotations

import functools
import importlib
import logging.config
import os
import threading
from pathlib import Path
from typing import Any

import psutil
import structlog
from celery import Celery, signals
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections

from mdc.stack.parent import die_with_parent
from providers.venues import load_calendar

log = structlog.get_logger(__name__)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mdc.settings")

_LOOK_FOR_DEATHS_SECONDS = 0.5
_STANDS_BACK = 5

app = Celery("mdc")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["ingestion"])


@signals.setup_logging.connect
def use_project_logging(**_: Any) -> None:
    """Keep Celery from installing its own logging."""
    logging.config.dictConfig(settings.LOGGING)


@signals.worker_init.connect
@signals.beat_init.connect
def guard_connections(**_: Any) -> None:
    """Give worker and beat connections their time-outs, before the first one is opened."""
    entry = connections.settings["default"]
    guards = [f"-c {name}={value}" for name, value in settings.WORKER_SESSION_SETTINGS.items()]
    theirs = entry["OPTIONS"].get("options", "")
    entry["OPTIONS"].update(settings.WORKER_DATABASE_OPTIONS)
    entry["OPTIONS"]["options"] = " ".join([theirs, *guards]).strip()
    entry["CONN_MAX_AGE"] = settings.WORKER_CONN_MAX_AGE
    entry["CONN_HEALTH_CHECKS"] = True


@signals.worker_init.connect
def load_calendars(**_: Any) -> None:
    """Load calendars once, before the pool forks: a new child works at once and shares them.

    What only delivers needs none, and half as much memory.
    """
    if set(app.amqp.queues.consume_from) != {"deliver"}:
        load_calendar("XNYS")


@signals.worker_init.connect
def stand_back(**_: Any) -> None:
    """Let fetches and deliveries leave the processor to beat and the tick, who are punctual."""
    if "control" not in app.amqp.queues.consume_from:
        os.nice(_STANDS_BACK)


@signals.worker_process_init.connect
def follow_main_process(**_: Any) -> None:
    """Let a pool child die with its main process: an orphan would go on without a broker."""
    die_with_parent()
    if "fetch" in app.amqp.queues.consume_from:
        # Only once Django is set up can its models be loaded.
        importlib.import_module("ingestion.pulse").start_pulse()


@signals.worker_shutting_down.connect
def let_fetches_part(**_: Any) -> None:
    """Give back what fetches hold, when a worker is told to stop: they would go on for 25 s."""
    # Celery says so from within its handler of SIGTERM, where nothing may wait for PostgreSQL.
    threading.Thread(target=_drain_children, name="drain", daemon=True).start()


def _drain_children() -> None:
    children = [child.pid for child in psutil.Process().children()]
    process = importlib.import_module("ingestion.process")
    drain = importlib.import_module("ingestion.services.drain_executors").drain_executors
    try:
        drain(host=process.this_host(), pids=children)
    except (DatabaseError, InterfaceError) as error:
        # The leases run out by themselves.
        log.warning("drain_missed", error=str(error))
    finally:
        connections.close_all()


@signals.worker_ready.connect
def notice_deaths(sender: Any, **_: Any) -> None:
    """Replace dead pool children within half a second.

    Celery is told of a death by a closing pipe, which is often just before the kernel lets it
    collect the child; then it looks again only every five seconds.
    """
    _watch_pool(sender)


@functools.cache
def _watch_pool(consumer: Any) -> None:
    """Do so once per worker: it is ready anew after each loss of the broker."""
    if consumer.hub is not None:
        consumer.hub.call_repeatedly(_LOOK_FOR_DEATHS_SECONDS, consumer.pool.maintain_pool)


@signals.worker_ready.connect
@signals.beat_init.connect
def report_ready(**_: Any) -> None:
    """Tell the supervisor, if there is one, that this process serves."""
    if settings.READY_FILE:
        Path(settings.READY_FILE).write_text(str(os.getpid()), encoding="ascii")
