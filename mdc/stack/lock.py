"""One supervisor per home, and what it tells the others."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from mdc.stack.addresses import Home
from mdc.stack.errors import AlreadyRunning, NotRunning
from mdc.stack.files import read_json
from mdc.stack.supervisor import Phase, ProcessStatus, kill_group

# A process is the recorded one when its number and (within clock adjustments) its birth match.
_BIRTH_TOLERANCE = 2.0
# PostgreSQL may still be writing its last checkpoint after its supervisor was killed.
_FAREWELL_SECONDS = 15.0


class HomeLock:
    """Hold a home for one supervisor; the kernel lets go when that process dies."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock, or raise AlreadyRunning."""
        descriptor = os.open(self._home.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise AlreadyRunning(self._home.root, read_json(self._home.state).get("pid")) from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_locked(home: Home) -> bool:
    """Tell whether a supervisor holds this home now."""
    try:
        descriptor = os.open(home.lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@dataclass(frozen=True, slots=True)
class RunningStack:
    """Describe a running stack as its supervisor last wrote it down."""

    home: Path
    pid: int
    addresses: Mapping[str, str]
    processes: tuple[ProcessStatus, ...]


def describe(statuses: list[ProcessStatus], addresses: Mapping[str, str]) -> dict[str, object]:
    """Return the content of the state file; births tell a process from a later namesake."""
    return {
        "pid": os.getpid(),
        "addresses": dict(addresses),
        "processes": [
            {
                "name": status.name,
                "phase": str(status.phase),
                "pid": status.pid,
                "restarts": status.restarts,
                "born": _birth(status.pid),
            }
            for status in statuses
        ],
    }


def read_running(home: Home) -> RunningStack:
    """Return the running stack of a home, or raise NotRunning."""
    state = read_json(home.state)
    if not state or not is_locked(home):
        raise NotRunning(home.root)
    return RunningStack(
        home=home.root,
        pid=int(state["pid"]),
        addresses=state["addresses"],
        processes=tuple(
            ProcessStatus(entry["name"], Phase(entry["phase"]), entry["pid"], entry["restarts"])
            for entry in state["processes"]
        ),
    )


def remove_survivors(home: Home) -> list[str]:
    """End what a killed supervisor left running and return the names.

    On Linux the kernel has told them already and this only waits; elsewhere they live on until
    here. Call under the home's lock.
    """
    survivors: dict[psutil.Process, str] = {}
    for entry in read_json(home.state).get("processes", []):
        process = _recorded(entry.get("pid"), entry.get("born"))
        if process is not None:
            survivors[process] = entry["name"]
    for process, name in survivors.items():
        if name != "postgres":
            kill_group(process.pid)
        else:
            process.send_signal(signal.SIGINT)
    _, stubborn = psutil.wait_procs(list(survivors), timeout=_FAREWELL_SECONDS)
    for process in stubborn:
        kill_group(process.pid)
    home.state.unlink(missing_ok=True)
    return list(survivors.values())


def _birth(pid: int | None) -> float | None:
    try:
        return float(psutil.Process(pid).create_time()) if pid is not None else None
    except psutil.Error:
        return None


def _recorded(pid: int | None, born: float | None) -> psutil.Process | None:
    if pid is None or born is None:
        return None
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - born) < _BIRTH_TOLERANCE
    except psutil.Error:
        return None
    return process if same else None
