"""How often was a window found empty: looks add up wherever they overlap, however they were cut."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.coverage import Ranges, Stamps

Rows = NDArray[np.intp]
REFUSED: Final = 0
JUST_NOW: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Hold n windows [starts[i], ends[i]) of one series that were found without bars.

    `looks` counts attempts in a row that found a window empty; REFUSED where the last one brought
    rows of which none could be stored. `attempts` are the newest. `since` is when in µs, or
    JUST_NOW.
    """

    starts: Stamps
    ends: Stamps
    looks: NDArray[np.int64]
    attempts: NDArray[np.int64]
    since: Stamps

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, int, int, int]]) -> Looks:
        """Build from rows in the order of the columns."""
        table = np.array(list(rows), np.int64).reshape(-1, 5)
        return cls(*table.T)

    def take(self, rows: Rows | NDArray[np.bool_]) -> Looks:
        """Select windows."""
        return Looks(*(getattr(self, name)[rows] for name in Looks.__slots__))


def add_looks(known: Looks, seen: Looks, *, loaded: Ranges, proven: Ranges) -> Looks:
    """Join what was just seen (of looks 1 or REFUSED) with what was known, as disjoint windows.

    Windows are cut wherever another one begins or ends. A look counts once per attempt; one that
    was refused begins the count anew. What is loaded is not missing, and what is proven stays so
    unless rows came that were refused.
    """
    edges = np.unique(
        np.concatenate(
            [part for one in (known, seen, loaded, proven) for part in (one.starts, one.ends)]
        )
    )
    cells = len(edges) - 1
    before, was = _lay(known, edges)
    now, new = _lay(seen, edges)
    refuses = seen.looks[new] == REFUSED
    counted = refuses | ~proven.contains(edges[now])
    now, new, refuses = now[counted], new[counted], refuses[counted]
    looks, attempts = np.zeros(cells, np.int64), np.zeros(cells, np.int64)
    np.maximum.at(looks, before, known.looks[was])
    pairs = np.unique(np.stack((now[~refuses], seen.attempts[new[~refuses]])), axis=1)
    looks += np.bincount(pairs[0], minlength=cells)
    looks[now[refuses]] = REFUSED
    np.maximum.at(attempts, before, known.attempts[was])
    attempts[now] = 0
    np.maximum.at(attempts, now, seen.attempts[new])
    since = np.full(cells, JUST_NOW)
    np.maximum.at(since, before, known.since[was])
    since[now] = JUST_NOW
    held = np.zeros(cells, np.bool_)
    held[before] = held[now] = True
    held &= ~loaded.contains(edges[:-1])
    return Looks(edges[:-1], edges[1:], looks, attempts, since).take(held)


def _lay(windows: Looks, edges: Stamps) -> tuple[Rows, Rows]:
    """Return, for each cell that a window holds, the cell and the window."""
    first = np.searchsorted(edges, windows.starts)
    counts = np.searchsorted(edges, windows.ends) - first
    rows = np.repeat(np.arange(len(counts)), counts)
    return np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + first[rows], rows
