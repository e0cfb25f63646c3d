"""The identity of this worker process, and which of its neighbours are alive."""

from __future__ import annotations

import functools
import os
import socket
import uuid
from pathlib import Path

import psutil

from ingestion.services.run_slices import Executor


def this_executor() -> Executor:
    """Return who this process is; a forked child is somebody else."""
    return _executor(os.getpid())


@functools.lru_cache(maxsize=1)
def _executor(pid: int) -> Executor:
    return Executor(
        id=uuid.uuid4(), host=this_host(), pid=pid, born=psutil.Process(pid).create_time()
    )


@functools.cache
def this_host() -> str:
    """Name the space in which process ids are unique: containers may share a host's name."""
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{namespace.stat().st_ino if namespace.exists() else 0}"


def is_alive(pid: int, born: float) -> bool:
    """Tell whether the process of this host that began at `born` still runs."""
    try:
        process = psutil.Process(pid)
        return process.create_time() == born and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
