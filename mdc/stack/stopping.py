"""Turn signals into an orderly end of a stack, at any moment."""

from __future__ import annotations

import signal
from types import FrameType

from mdc.stack.embedded import EmbeddedStack

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Let the first signal end the main thread's work and a second one hurry the stop.

    Once a signal came or `begin_stopping` was called none raises any more: a stop that is itself
    interrupted would leave processes behind.
    """

    def __init__(self) -> None:
        self.received = False
        self._stopping = False
        self._stack: EmbeddedStack | None = None

    def install(self) -> None:
        """Take over SIGINT, SIGTERM and SIGHUP; only in the main thread."""
        for number in _STOP_SIGNALS:
            signal.signal(number, self._handle)

    def watch_over(self, stack: EmbeddedStack) -> None:
        """Name the stack whose stop a second signal hurries."""
        self._stack = stack

    def begin_stopping(self) -> None:
        """Say that everything is being stopped anyway."""
        self._stopping = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        again, self.received = self.received, True
        if not self._stopping:
            self._stopping = True
            raise KeyboardInterrupt
        if again and self._stack is not None:
            self._stack.hurry()
