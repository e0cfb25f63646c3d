"""Bound the bytes of answers that are held in memory at one time, across threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ByteBudget:
    """Share `cap` bytes among threads, each of which reserves within a `hold`.

    Only a thread that holds nothing waits, and what it holds may grow without waiting, so a
    thread that others wait for always gets on and there is no deadlock. One answer larger than
    the cap is let in when nothing else is held.
    """

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._held = 0
        self._changed = threading.Condition()
        self._mine = threading.local()

    @property
    def held(self) -> int:
        """Return the bytes that all threads hold now."""
        return self._held

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep what this thread reserves inside until the outermost hold ends.

        Put it around fetching and using an answer; a hold inside another one joins it.
        """
        if getattr(self._mine, "bytes", None) is not None:
            yield
            return
        self._mine.bytes = 0
        try:
            yield
        finally:
            with self._changed:
                self._held -= self._mine.bytes
                self._mine.bytes = None
                self._changed.notify_all()

    def reserve(self, size: int, *, timeout: float) -> bool:
        """Reserve more bytes for this thread, inside a hold; False after `timeout` seconds.

        It waits only while the thread holds nothing and the cap would be exceeded.
        """
        with self._changed:
            if not self._mine.bytes:
                admitted = self._changed.wait_for(
                    lambda: not self._held or self._held + size <= self._cap, timeout
                )
                if not admitted:
                    return False
            self._held += size
            self._mine.bytes += size
            return True
