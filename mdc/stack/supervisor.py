"""Keep processes running: in order of need, restarted when they die, gone when we are."""

from __future__ import annotations

import enum
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
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
_BACKOFF_LAST = 5.0
# A process that lived this long has earned a fresh start without delay.
_STEADY_SECONDS = 5.0
# Who waits for a process gives up after so many deaths before it was ever ready; the supervisor
# itself never does.
_HOPELESS_DEATHS = 4
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
    quick_deaths: int = 0
    unready_deaths: int = 0
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
        self._hurry = False
        self._broken: Exception | None = None
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
                    partial(self._settled, name), timeout=max(0.0, deadline - monotonic())
                )
                self._raise_if_broken()
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
                self._changed.wait_for(partial(self._all_gone, layer))
        self._raise_if_broken()

    def hurry(self) -> None:
        """Kill what is being stopped, now and from now on; safe inside a signal handler."""
        self._hurry = True

    def close(self) -> None:
        """Stop everything and end the thread."""
        try:
            self.stop()
        finally:
            self._closing = True
            self._thread.join()

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing:
            with self._changed:
                try:
                    self._round()
                except Exception as error:
                    # Callers wait for this thread: they must learn that it is gone.
                    self._broken = error
                    self._kill_everything()
                    self._changed.notify_all()
                    raise
            self._wake.wait(_TICK)
            self._wake.clear()

    def _round(self) -> None:
        for managed in self._managed.values():
            self._advance(managed)
        self._publish()

    def _kill_everything(self) -> None:
        for managed in self._managed.values():
            if managed.process is not None:
                kill_group(managed.process.pid)

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
            managed.unready_deaths = 0
            log.debug("process ready", process=managed.spec.name, pid=managed.process.pid)

    def _needs_met(self, spec: ProcessSpec) -> bool:
        return all(self._managed[name].phase is Phase.READY for name in spec.needs)

    def _start(self, managed: _Managed) -> None:
        spec = managed.spec
        managed.started_at = monotonic()
        try:
            managed.process = _launch(spec)
        except OSError as error:
            # A full disk or too many processes: as if it had died at once.
            log.error("process not started", process=spec.name, error=str(error))
            self._back_off(managed)
            return
        managed.phase = Phase.STARTING

    def _reap(self, managed: _Managed) -> None:
        process = managed.process
        if process is None or process.poll() is None:
            return
        kill_group(process.pid)
        managed.process = None
        managed.stop_by = None
        if managed.wanted:
            self._back_off(managed)
            log.warning("process died", process=managed.spec.name, exit=process.returncode)

    def _back_off(self, managed: _Managed) -> None:
        steady = monotonic() - managed.started_at > _STEADY_SECONDS
        managed.quick_deaths = 0 if steady else managed.quick_deaths + 1
        managed.unready_deaths += managed.phase is not Phase.READY
        delay = min(_BACKOFF_LAST, _BACKOFF_FIRST * 2.0 ** max(0, managed.quick_deaths - 1))
        managed.retry_at = monotonic() + delay
        managed.restarts += 1
        managed.phase = Phase.BACKOFF

    def _wind_down(self, managed: _Managed) -> None:
        process = managed.process
        if process is None:
            managed.phase = Phase.STOPPED
        elif managed.stop_by is None:
            managed.stop_by = monotonic() + managed.spec.stop_seconds
            process.send_signal(managed.spec.stop_signal)
        elif self._hurry or monotonic() >= managed.stop_by:
            kill_group(process.pid)

    # --- predicates; the lock is held ----------------------------------------------------------

    def _settled(self, name: str) -> bool:
        managed = self._managed[name]
        hopeless = managed.unready_deaths >= _HOPELESS_DEATHS
        return managed.phase is Phase.READY or hopeless or self._broken is not None

    def _all_gone(self, names: list[str]) -> bool:
        gone = all(self._managed[name].phase is Phase.STOPPED for name in names)
        return gone or self._broken is not None

    def _raise_if_broken(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _layers(self, names: list[str]) -> list[list[str]]:
        left = [name for name in names if name in self._managed]
        layers = []
        while left:
            needed = {need for name in left for need in self._managed[name].spec.needs}
            layer = [name for name in left if name not in needed]
            layers.append(layer)
            left = [name for name in left if name in needed]
        return layers


def _launch(spec: ProcessSpec) -> subprocess.Popen[bytes]:
    if spec.before_start:
        spec.before_start()
    with open_log(spec.log) as output:
        return subprocess.Popen(
            launch_command(spec.argv, identity=spec.identity, death_signal=spec.death_signal),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(spec.environment),
            cwd=spec.folder,
            start_new_session=True,
        )


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
