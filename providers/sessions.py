"""Trading sessions of one venue as parallel columns of microseconds; numpy only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

NO_BREAK = -1
DAY_US = 86_400_000_000

Stamps = NDArray[np.int64]


def _none() -> Stamps:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """Hold the sessions of a venue in ascending order, one row each.

    Every column is int64 microseconds since the Unix epoch, UTC. `labels` is the session date at
    00:00Z, `opens` and `closes` are instants (an overnight session opens before its label) and
    `break_starts`, `break_ends` are NO_BREAK where a session has no break. `earliest` and `latest`
    bound the extended hours; they equal `opens` and `closes` where nothing trades outside. Nothing
    is known of labels outside [known_from, known_until). `always_open` marks venues without any
    close.

    `halt_starts` and `halt_ends` are the spans in which nothing traded beside the breaks, flat and
    ascending, each inside one session and disjoint from its break; `added` are the labels of
    sessions that the calendar does not have. These three speak of all sessions of the venue, also
    where a selection holds fewer.
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
    halt_starts: Stamps = field(default_factory=_none)
    halt_ends: Stamps = field(default_factory=_none)
    added: Stamps = field(default_factory=_none)

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

    def rows(self, rows: slice | NDArray[np.bool_]) -> Sessions:
        """Select sessions by position, as views, or by mask."""
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

    def pauses(self) -> tuple[Stamps, Stamps, NDArray[np.intp]]:
        """Return breaks and halts, ascending: their starts, their ends, the row of each."""
        rows = np.flatnonzero(self.break_starts != NO_BREAK)
        starts, ends = self.break_starts[rows], self.break_ends[rows]
        if not len(self.halt_starts):
            return starts, ends, rows
        owner = np.searchsorted(self.opens, self.halt_starts, side="right") - 1
        here = owner >= 0
        here[here] = self.halt_starts[here] < self.closes[owner[here]]
        starts = np.concatenate((starts, self.halt_starts[here]))
        ends = np.concatenate((ends, self.halt_ends[here]))
        order = np.argsort(starts, kind="stable")
        return starts[order], ends[order], np.concatenate((rows, owner[here]))[order]
