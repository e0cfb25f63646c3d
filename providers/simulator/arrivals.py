"""Say when requests arrived, even while the simulator itself had to wait for the processor.

A machine that is busy with the very workers whose pace is judged may let a request lie for a
quarter of a second. Linux notes when the bytes came in; elsewhere the time of reading has to do.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

# The kernel's number; Python's socket module has no name for it.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")
_NANO = 1_000_000_000
# A stamp that claims to be older than this is none.
_OLDEST = 60 * _NANO
# Accept, make the connection, watch it, read it; and one to be sure.
_ROUNDS = 5


class Stamps:
    """Hold when the bytes of the latest read came in, in monotonic nanoseconds."""

    def __init__(self) -> None:
        self.latest = 0


class StampedSocket(socket.socket):
    """Note, at each read, when the kernel received what is read.

    Readers in one event loop may share `stamps`: each looks at it before the next one reads.
    """

    stamps: Stamps

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection that notes its reads in the same place."""
        plain, address = super().accept()
        accepted = StampedSocket(fileno=plain.detach())
        accepted.stamps = self.stamps
        return accepted, address

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Read, and note the time of arrival."""
        if not sys.platform.startswith("linux"):
            data = super().recv(bufsize, flags)
            self.stamps.latest = time.monotonic_ns()
            return data
        data, notes, *_ = self.recvmsg(bufsize, socket.CMSG_SPACE(_TIMESPEC.size), flags)
        self.stamps.latest = time.monotonic_ns() - _age(notes)
        return data


def listen(host: str, port: int, stamps: Stamps) -> StampedSocket:
    """Open a listening socket whose connections note their reads in `stamps`."""
    listener = StampedSocket(socket.AF_INET, socket.SOCK_STREAM)
    listener.stamps = stamps
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform.startswith("linux"):
            listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _age(notes: list[tuple[int, int, bytes]]) -> int:
    """Return how many nanoseconds ago the kernel received the bytes; 0 where it does not say."""
    for level, kind, data in notes:
        if (level, kind, len(data)) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS, _TIMESPEC.size):
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            age = time.time_ns() - (seconds * _NANO + nanoseconds)
            return int(age) if 0 <= age < _OLDEST else 0
    return 0


class Queue:
    """Let requests in by order of arrival, whatever the order in which they are read.

    What can be read is read in one round of the event loop; on a new connection, which has to be
    accepted first, a few rounds later. After these nobody comes who arrived earlier.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[int, Callable[[int], None]]] = []
        self._last = 0

    def enter(self, arrival: int, let_in: Callable[[int], None]) -> None:
        """Call `let_in` with the time of arrival, after those who arrived earlier."""
        if not self._waiting:
            self._loop.call_soon(self._open, _ROUNDS)
        self._waiting.append((arrival, let_in))

    def _open(self, rounds: int) -> None:
        if rounds:
            self._loop.call_soon(self._open, rounds - 1)
            return
        waiting, self._waiting = self._waiting, []
        for arrival, let_in in sorted(waiting, key=lambda one: one[0]):
            self._last = max(self._last, arrival)
            let_in(self._last)
