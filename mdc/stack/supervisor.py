"""Keep processes running: in order of need, restarted when they die, gone when we are."""

from __future__ import annotations

import enum
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import BinaryIO

import structlog

from mdc.stack.errors import StartFailed
from mdc.stack.identity import SAME, Identity, launch_command

log = structlog.get_logger(__name__)

_TICK = 0.05
_BACKOFF_FIRST = 0.2
_BACKOFF_LAST = 10.0
# A process that lived this long has earned a fresh start without delay.
_STEADY_SECONDS = 10.0
_LOG_LIMIT = 20 * 1024 * 1024


class Phase(enum.StrEnum):
    """Name where a process is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "backoff"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """Describe a process to keep alive.

    `ready` is asked with its pid until it is True; `needs` names processes that must be ready
    before each start; `before_start` removes what a killed predecessor left behind.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    ready: Callable[[int], bool]
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    folder: Path = Path("/")
    identity: Identity = SAME
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 10.0
    death_signal: int = signal.SIGKILL
    before_start: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """Show one process at one moment; `pid` is None while none runs."""

    name: str
    phase: Phase
    pid: int | None
    restarts: int


@dataclass(slots=True)
class _Managed:
    spec: ProcessSpec
    phase: Phase = Phase.WAITING
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    retry_at: float = 0.0
    failures: int = 0
    restarts: int = 0
    wanted: bool = True
    stop_by: float | None = None

    def status(self) -> ProcessStatus:
        """Freeze what others may see."""
        pid = self.process.pid if self.process else None
        return ProcessStatus(self.spec.name, self.phase, pid, self.restarts)


class Supervisor:
    """Run processes from one thread of its own.

    One thread starts everything, because the kernel ties a child's death signal to the thread
    that made it. All methods may be called from any thread; `on_change` is called by the
    supervisor's thread with a fresh status after each change.
    """

    def __init__(self, *, on_change: Callable[[list[ProcessStatus]], None] | None = None) -> None:
        self._managed: dict[str, _Managed] = {}
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._wake = threading.Event()
        self._closing = False
        self._on_change = on_change
        self._last_status: list[ProcessStatus] = []
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    # --- for callers ---------------------------------------------------------------------------

    def add(self, specs: Iterable[ProcessSpec]) -> None:
        """Start keeping processes alive; a name that is kept already is left as it is."""
        with self._lock:
            for spec in specs:
                managed = self._managed.get(spec.name)
                if managed is None or (not managed.wanted and managed.process is None):
                    self._managed[spec.name] = _Managed(spec)
        self._wake.set()

    def status(self) -> list[ProcessStatus]:
        """Return every process in the order in which it was added."""
        with self._lock:
            return [managed.status() for managed in self._managed.values()]

    def pids(self) -> dict[str, int]:
        """Return name -> process id of all that run."""
        return {entry.name: entry.pid for entry in self.status() if entry.pid is not None}

    def wait_ready(self, names: Iterable[str], *, timeout: float = 60.0) -> None:
        """Wait until processes are ready; raises StartFailed naming the first that is not."""
        deadline = monotonic() + timeout
        with self._changed:
            for name in names:
                self._changed.wait_for(
                    lambda name=name: self._settled(name),  # type: ignore[misc]
                    timeout=max(0.0, deadline - monotonic()),
                )
                managed = self._managed[name]
                if managed.phase is not Phase.READY:
                    raise StartFailed(name, managed.spec.log, tail_of(managed.spec.log))

    def stop(self, names: Iterable[str] | None = None) -> None:
        """Stop processes, dependents before what they need; all of them by default."""
        with self._changed:
            wanted = list(self._managed) if names is None else list(names)
            for layer in self._layers(wanted):
                for name in layer:
                    self._managed[name].wanted = False
                self._wake.set()
                self._changed.wait_for(
                    lambda layer=layer: all(self._gone(name) for name in layer)  # type: ignore[misc]
                )

    def hurry(self) -> None:
        """Kill what is being stopped but still takes its time."""
        with self._lock:
            for managed in self._managed.values():
                if not managed.wanted:
                    managed.stop_by = 0.0
        self._wake.set()

    def close(self) -> None:
        """Stop everything and end the thread."""
        self.stop()
        self._closing = True
        self._wake.set()
        self._thread.join()

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing:
            with self._changed:
                for managed in self._managed.values():
                    self._advance(managed)
                self._publish()
            self._wake.wait(_TICK)
            self._wake.clear()

    def _publish(self) -> None:
        status = [managed.status() for managed in self._managed.values()]
        if status == self._last_status:
            return
        self._last_status = status
        self._changed.notify_all()
        if self._on_change:
            self._on_change(status)

    def _advance(self, managed: _Managed) -> None:
        self._reap(managed)
        if not managed.wanted:
            self._wind_down(managed)
        elif managed.process is None:
            if monotonic() >= managed.retry_at and self._needs_met(managed.spec):
                self._start(managed)
        elif managed.phase is Phase.STARTING and managed.spec.ready(managed.process.pid):
            managed.phase = Phase.READY
            managed.failures = 0
            log.debug("process ready", process=managed.spec.name, pid=managed.process.pid)

    def _needs_met(self, spec: ProcessSpec) -> bool:
        return all(self._managed[name].phase is Phase.READY for name in spec.needs)

    def _start(self, managed: _Managed) -> None:
        spec = managed.spec
        if spec.before_start:
            spec.before_start()
        with open_log(spec.log) as output:
            managed.process = subprocess.Popen(
                launch_command(spec.argv, identity=spec.identity, death_signal=spec.death_signal),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(spec.environment),
                cwd=spec.folder,
                start_new_session=True,
            )
        managed.started_at = monotonic()
        managed.phase = Phase.STARTING

    def _reap(self, managed: _Managed) -> None:
        process = managed.process
        if process is None or process.poll() is None:
            return
        kill_group(process.pid)
        managed.process = None
        managed.stop_by = None
        if not managed.wanted:
            return
        lived = monotonic() - managed.started_at
        managed.failures = 0 if lived > _STEADY_SECONDS else managed.failures + 1
        delay = min(_BACKOFF_LAST, _BACKOFF_FIRST * 2.0 ** max(0, managed.failures - 1))
        managed.retry_at = monotonic() + delay
        managed.restarts += 1
        managed.phase = Phase.BACKOFF
        log.warning(
            "process died",
            process=managed.spec.name,
            exit=process.returncode,
            restart_in=round(delay, 1),
        )

    def _wind_down(self, managed: _Managed) -> None:
        process = managed.process
        if process is None:
            managed.phase = Phase.STOPPED
        elif managed.stop_by is None:
            managed.stop_by = monotonic() + managed.spec.stop_seconds
            process.send_signal(managed.spec.stop_signal)
        elif monotonic() >= managed.stop_by:
            kill_group(process.pid)

    # --- predicates; the lock is held ----------------------------------------------------------

    def _settled(self, name: str) -> bool:
        managed = self._managed[name]
        return managed.phase is Phase.READY or managed.failures >= 4

    def _gone(self, name: str) -> bool:
        managed = self._managed[name]
        return managed.phase is Phase.STOPPED and managed.process is None

    def _layers(self, names: list[str]) -> list[list[str]]:
        left = [name for name in names if name in self._managed]
        layers = []
        while left:
            needed = {need for name in left for need in self._managed[name].spec.needs}
            layer = [name for name in left if name not in needed]
            layers.append(layer)
            left = [name for name in left if name in needed]
        return layers


def kill_group(leader: int) -> None:
    """Kill what is left of a process and its children; a group that is gone is fine."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # macOS answers EPERM for a group of which only a zombie is left.
        return


def open_log(path: Path) -> BinaryIO:
    """Open a log for appending, private; one that has grown too long is set aside first."""
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_suffix(".old.log"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb")


def tail_of(path: Path, *, size: int = 400) -> str:
    """Return the last words of a log on one line."""
    try:
        data = path.read_bytes()[-size:]
    except FileNotFoundError:
        return ""
    return " ".join(data.decode(errors="replace").split())
