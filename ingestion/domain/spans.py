"""Half-open spans of many owners as columns: what `Ranges` is to one series, for thousands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.coverage import Ranges, Stamps

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Hold n spans [starts[i], ends[i]) in µs, each of the owner numbered owners[i].

    Owners ascend; the spans of one owner may overlap and stand in any order unless `union` made
    them.
    """

    owners: Rows
    starts: Stamps
    ends: Stamps

    @classmethod
    def of(cls, owners: Rows, starts: Stamps, ends: Stamps) -> Spans:
        """Sort columns by owner; empty spans vanish."""
        filled = starts < ends
        if not filled.all():
            owners, starts, ends = owners[filled], starts[filled], ends[filled]
        if np.any(owners[1:] < owners[:-1]):
            order = np.argsort(owners, kind="stable")
            owners, starts, ends = owners[order], starts[order], ends[order]
        return cls(owners, starts, ends)

    @classmethod
    def of_ranges(cls, ranges: Mapping[int, Ranges]) -> Spans:
        """Lay the intervals of each owner behind each other."""
        ordered = sorted(ranges.items())
        if not ordered:
            return NO_SPANS
        counts = [len(one) for _, one in ordered]
        return cls(
            np.repeat(np.array([owner for owner, _ in ordered], np.intp), counts),
            np.concatenate([one.starts for _, one in ordered]),
            np.concatenate([one.ends for _, one in ordered]),
        )

    @classmethod
    def join(cls, parts: Sequence[Spans]) -> Spans:
        """Put several sets together; what overlaps stays so."""
        return cls.of(
            np.concatenate([part.owners for part in parts]),
            np.concatenate([part.starts for part in parts]),
            np.concatenate([part.ends for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.owners)

    def of_owners(self, first: int, last: int) -> Spans:
        """Select the owners [first, last), renumbered from zero, as views where possible."""
        at, until = np.searchsorted(self.owners, (first, last))
        rows = slice(int(at), int(until))
        return Spans(self.owners[rows] - first, self.starts[rows], self.ends[rows])

    def within(self, pieces: Spans) -> Spans:
        """Cut to pieces of the same owners; the results are owned by the places of the pieces."""
        first = np.searchsorted(pieces.owners, self.owners, side="left")
        last = np.searchsorted(pieces.owners, self.owners, side="right")
        counts = last - first
        mine = np.repeat(np.arange(len(self)), counts)
        place = np.arange(len(mine)) - np.repeat(np.cumsum(counts) - counts, counts)
        place += np.repeat(first, counts)
        return Spans.of(
            place.astype(np.intp),
            np.maximum(self.starts[mine], pieces.starts[place]),
            np.minimum(self.ends[mine], pieces.ends[place]),
        )

    def union(self) -> Spans:
        """Melt what overlaps or touches, per owner; the result is sorted and disjoint."""
        if not len(self):
            return self
        # Stamps of thousands of owners do not fit into one number, their ranks do.
        stamps = np.unique(np.concatenate((self.starts, self.ends)))
        base = self.owners.astype(np.int64) * len(stamps)
        merged = Ranges.of_arrays(
            base + np.searchsorted(stamps, self.starts), base + np.searchsorted(stamps, self.ends)
        )
        owners, firsts = np.divmod(merged.starts, len(stamps))
        return Spans(
            owners.astype(np.intp), stamps[firsts], stamps[merged.ends - owners * len(stamps)]
        )

    def first_starts(self, count: int, *, otherwise: int) -> Stamps:
        """Return the earliest start of each of `count` owners."""
        found = np.full(count, otherwise, np.int64)
        np.minimum.at(found, self.owners, self.starts)
        return found

    def last_ends(self, count: int, *, otherwise: int) -> Stamps:
        """Return the latest end of each of `count` owners."""
        found = np.full(count, otherwise, np.int64)
        np.maximum.at(found, self.owners, self.ends)
        return found


NO_SPANS = Spans(np.empty(0, np.intp), np.empty(0, np.int64), np.empty(0, np.int64))
