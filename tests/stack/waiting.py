"""Wait for other processes in tests."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil


def until(condition: Callable[[], bool], *, within: float = 30.0) -> None:
    """Wait until a condition holds; an AssertionError after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"still not true after {within} s"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    """Tell whether a process has ended; one that only waits to be collected has."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
