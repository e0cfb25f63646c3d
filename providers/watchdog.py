"""End network operations at a deadline, whatever they are blocked in."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Watch:
    """Follow one operation until `deadline`, in seconds of time.monotonic()."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.expired = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    @property
    def remaining(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self.deadline - time.monotonic())

    def allow(self, seconds: float) -> None:
        """Move the deadline by a time that was waited on purpose."""
        self.deadline += seconds

    def attach(self, connected: socket.socket) -> None:
        """Name the socket that is cut when time is up."""
        with self._lock:
            self._socket = connected
            if self.expired:
                _cut(connected)

    def expire(self) -> None:
        """Cut the socket, which wakes a thread that is blocked in it."""
        with self._lock:
            self.expired = True
            if self._socket is not None:
                _cut(self._socket)


class Watchdog:
    """Watch many operations with one thread, started with the first.

    A socket timeout bounds each single wait, so a peer that sends a byte now and then could hold
    a request for ever; this bounds the whole.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: set[Watch] = set()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, seconds: float) -> Iterator[Watch]:
        """Watch what happens inside; it is cut after `seconds`."""
        watch = Watch(time.monotonic() + seconds)
        with self._changed:
            self._watches.add(watch)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            self._changed.notify()
        try:
            yield watch
        finally:
            # Under the lock: once this returns the socket may serve another request.
            with self._changed:
                self._watches.discard(watch)

    def _run(self) -> None:
        with self._changed:
            while True:
                for watch in [watch for watch in self._watches if not watch.remaining]:
                    self._watches.discard(watch)
                    watch.expire()
                nearest = min((watch.remaining for watch in self._watches), default=None)
                self._changed.wait(nearest)


def _cut(connected: socket.socket) -> None:
    # The plain socket's shutdown also ends a TLS connection, without racing its reader.
    with suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
