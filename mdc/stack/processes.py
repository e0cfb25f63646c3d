"""The processes of mdc itself, as the supervisor runs them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mdc.stack.addresses import Home
from mdc.stack.logins import ADMIN_NAME, Logins
from mdc.stack.ports import HOST, listens
from mdc.stack.supervisor import ProcessSpec

PROJECT = Path(__file__).resolve().parent.parent.parent
WORKERS = ("control", "fetch", "deliver", "beat")
# As many targets may be slow at once without the others noticing.
DELIVERY_THREADS = 8
PAGES = ("web", "flower")
ALL = (*WORKERS, *PAGES)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Hold what every process of one stack shares."""

    home: Home
    environment: Mapping[str, str]
    servers: tuple[str, ...]
    fetch_processes: int
    logins: Logins
    ports: Mapping[str, int]


def child_environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with the stack's own values on top."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "mdc.settings",
        "PYTHONUNBUFFERED": "1",
        # A crash in compiled code leaves its stack in the log instead of a bare signal number.
        "PYTHONFAULTHANDLER": "1",
        **base,
    }


def process_spec(name: str, around: Surroundings) -> ProcessSpec:
    """Describe one of mdc's processes; an unknown name is a KeyError."""
    return _MAKERS[name](around)


def _python(
    name: str,
    around: Surroundings,
    *arguments: str,
    extra: Mapping[str, str] | None = None,
    port: int | None = None,
    stop_seconds: float = 10.0,
) -> ProcessSpec:
    mark = around.home.run / f"{name}.ready"

    def is_ready(pid: int) -> bool:
        if port is not None:
            return listens(pid, port)
        return mark.exists() and mark.read_text(encoding="ascii") == str(pid)

    return ProcessSpec(
        name=name,
        argv=(sys.executable, "-m", *arguments),
        log=around.home.logs / f"{name}.log",
        ready=is_ready,
        needs=around.servers,
        environment={**around.environment, "MDC_READY_FILE": str(mark), **(extra or {})},
        folder=PROJECT,
        stop_signal=signal.SIGTERM,
        stop_seconds=stop_seconds,
        before_start=lambda: mark.unlink(missing_ok=True),
    )


def _worker(
    name: str, around: Surroundings, *, concurrency: int, pool: str = "prefork"
) -> ProcessSpec:
    return _python(
        name,
        around,
        "celery",
        "--app=mdc",
        "worker",
        f"--hostname={name}@%h",
        f"--queues={name}",
        f"--concurrency={concurrency}",
        f"--pool={pool}",
        "--without-gossip",
        "--without-mingle",
        "--loglevel=INFO",
    )


def _control(around: Surroundings) -> ProcessSpec:
    return _worker("control", around, concurrency=1)


def _fetch(around: Surroundings) -> ProcessSpec:
    return _worker("fetch", around, concurrency=around.fetch_processes)


def _deliver(around: Surroundings) -> ProcessSpec:
    # A process of its own, so that a slow receiver holds up neither fetching nor the tick; one
    # that waits for others all the time, so that threads will do.
    return _worker("deliver", around, concurrency=DELIVERY_THREADS, pool="threads")


def _beat(around: Surroundings) -> ProcessSpec:
    return _python("beat", around, "celery", "--app=mdc", "beat", "--loglevel=INFO", "--pidfile=")


def _web(around: Surroundings) -> ProcessSpec:
    port = around.ports["web"]
    return _python(
        "web",
        around,
        "uvicorn",
        "mdc.asgi:application",
        f"--host={HOST}",
        f"--port={port}",
        "--log-level=warning",
        "--no-server-header",
        port=port,
    )


def _flower(around: Surroundings) -> ProcessSpec:
    port = around.ports["flower"]
    return _python(
        "flower",
        around,
        "celery",
        "--app=mdc",
        "flower",
        f"--address={HOST}",
        f"--port={port}",
        # In the environment: a command line is visible to every user of the machine.
        extra={"FLOWER_BASIC_AUTH": f"{ADMIN_NAME}:{around.logins.flower_password}"},
        port=port,
        stop_seconds=3.0,
    )


_MAKERS = {
    "control": _control,
    "fetch": _fetch,
    "deliver": _deliver,
    "beat": _beat,
    "web": _web,
    "flower": _flower,
}
