"""Trading sessions of one venue as parallel columns of microseconds; numpy only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

NO_BREAK = -1
DAY_US = 86_400_000_000

Stamps = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """Hold the sessions of a venue in ascending order, one row each.

    Every column is int64 microseconds since the Unix epoch, UTC. `labels` is the session date at
    00:00Z, `opens` and `closes` are instants (an overnight session opens before its label) and
    `break_starts`, `break_ends` are NO_BREAK where a session has no break. `earliest` and `latest`
    bound the extended hours; they equal `opens` and `closes` where nothing trades outside. Nothing
    is known of labels outside [known_from, known_until). `always_open` marks venues without any
    close.
    """

    venue: str
    tz: str
    labels: Stamps
    opens: Stamps
    closes: Stamps
    break_starts: Stamps
    break_ends: Stamps
    earliest: Stamps
    latest: Stamps
    always_open: bool
    known_from: int
    known_until: int

    def __len__(self) -> int:
        return len(self.labels)

    def between(self, start_us: int, end_us: int) -> Sessions:
        """Select the sessions whose label lies in [start_us, end_us), as views."""
        first, last = np.searchsorted(self.labels, (start_us, end_us))
        return self.rows(slice(int(first), max(int(first), int(last))))

    def overlapping(self, start_us: int, end_us: int) -> Sessions:
        """Select the sessions of which some instant lies in [start_us, end_us), as views."""
        first = int(np.searchsorted(self.closes, start_us, side="right"))
        last = int(np.searchsorted(self.opens, end_us, side="left"))
        return self.rows(slice(first, max(first, last)))

    def rows(self, rows: slice) -> Sessions:
        """Select sessions by position, as views."""
        return replace(
            self,
            labels=self.labels[rows],
            opens=self.opens[rows],
            closes=self.closes[rows],
            break_starts=self.break_starts[rows],
            break_ends=self.break_ends[rows],
            earliest=self.earliest[rows],
            latest=self.latest[rows],
        )
