"""Exact sliding windows over arrival times."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from providers.simulator.config import Limit, Limits

NANO = 1_000_000_000


@dataclass(slots=True)
class Window:
    """Count arrivals in the half-open window (now - window, now], in nanoseconds."""

    limit: Limit
    arrivals: deque[int] = field(default_factory=deque)
    accepted: deque[int] = field(default_factory=deque)

    @property
    def length(self) -> int:
        """Return the window in nanoseconds."""
        return round(self.limit.window * NANO)

    def drop_old(self, now: int) -> None:
        """Forget what has left the window at `now`."""
        horizon = now - self.length
        for times in (self.arrivals, self.accepted):
            while times and times[0] <= horizon:
                times.popleft()

    def frees_at(self, times: deque[int]) -> int:
        """Return when one more request would fit behind `times`, which are at least n."""
        return times[len(times) - self.limit.n] + self.length


@dataclass(frozen=True, slots=True)
class Verdict:
    """Say whether an arrival broke a limit and, if it must be refused, for how many seconds."""

    violation: bool
    retry_after: float | None = None


class Limiter:
    """Judge the arrivals of one provider against its limits, in order of arrival."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._windows = [Window(limit) for limit in limits.limits]
        self.violations = 0

    def arrive(self, now: int) -> Verdict:
        """Record an arrival at `now` (monotonic nanoseconds) and judge it."""
        violation = False
        wait = 0
        real = self.limits.mode == "real"
        for window in self._windows:
            window.drop_old(now)
            violation |= len(window.arrivals) >= window.limit.n
            judged = window.accepted if real else window.arrivals
            if len(judged) >= window.limit.n:
                wait = max(wait, window.frees_at(judged) - now)
            window.arrivals.append(now)
        self.violations += violation
        if wait and self.limits.mode != "count":
            return Verdict(violation, wait / NANO)
        for window in self._windows:
            window.accepted.append(now)
        return Verdict(violation)
