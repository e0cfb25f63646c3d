"""Places at which a test may let a process die, one at each transaction boundary.

`MDC_CRASH_POINTS=<name>:<n>:<marker file>[,...]` lets the process that passes `<name>` for the
n-th time die as by kill -9. Whoever creates the marker file dies; those who come later live, so
that a restarted worker with the same environment goes on.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

from django.conf import settings

_passed: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """Die here if a test armed this point."""
    armed = next((one for one in settings.CRASH_POINTS if one.startswith(f"{name}:")), None)
    if armed is None:
        return
    _, nth, marker = armed.split(":", 2)
    _passed[name] += 1
    if _passed[name] < int(nth):
        return
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
