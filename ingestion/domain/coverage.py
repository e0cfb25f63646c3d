"""The algebra of coverage: immutable sets of disjoint half-open intervals in stamp space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ingestion.domain.windows import Window

Stamps = NDArray[np.int64]
_MIN = np.iinfo(np.int64).min
_MAX = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Hold sorted, disjoint, non-adjacent intervals [starts[i], ends[i]) in µs since the epoch.

    Build with `of`, `of_arrays` or `of_windows`, which normalise; equality is by content.
    """

    starts: Stamps
    ends: Stamps

    @classmethod
    def empty(cls) -> Ranges:
        """Return the set that holds nothing."""
        return _EMPTY

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> Ranges:
        """Normalise (start, end) pairs in any order; empty pairs vanish, reversed ones raise."""
        listed = list(pairs)
        if not listed:
            return _EMPTY
        table = np.asarray(listed, dtype=np.int64)
        return cls.of_arrays(table[:, 0], table[:, 1])

    @classmethod
    def of_windows(cls, windows: Iterable[Window]) -> Ranges:
        """Normalise windows in any order."""
        return cls.of((window.start_us, window.end_us) for window in windows)

    @classmethod
    def of_arrays(cls, starts: ArrayLike, ends: ArrayLike) -> Ranges:
        """Normalise parallel arrays of starts and ends in any order.

        Raises ValueError where an end lies before its start.
        """
        lows = np.asarray(starts, dtype=np.int64)
        highs = np.asarray(ends, dtype=np.int64)
        if np.any(highs < lows):
            raise ValueError("an interval ends before it starts")
        filled = lows < highs
        if not filled.all():
            lows, highs = lows[filled], highs[filled]
        if not len(lows):
            return _EMPTY
        if np.any(lows[1:] < lows[:-1]):
            order = np.argsort(lows, kind="stable")
            lows, highs = lows[order], highs[order]
        reach = np.maximum.accumulate(highs)
        opens = np.concatenate(([True], lows[1:] > reach[:-1]))
        closes = np.concatenate((opens[1:], [True]))
        return cls._frozen(lows[opens], reach[closes])

    @classmethod
    def _frozen(cls, starts: Stamps, ends: Stamps) -> Ranges:
        starts.setflags(write=False)
        ends.setflags(write=False)
        return cls(starts, ends)

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.pairs())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ranges):
            return NotImplemented
        return np.array_equal(self.starts, other.starts) and np.array_equal(self.ends, other.ends)

    def __hash__(self) -> int:
        return hash((self.starts.tobytes(), self.ends.tobytes()))

    def __repr__(self) -> str:
        return f"Ranges.of({self.pairs()})"

    def pairs(self) -> list[tuple[int, int]]:
        """Return the intervals as (start, end) pairs of ints in order."""
        return list(zip(self.starts.tolist(), self.ends.tolist(), strict=True))

    def windows(self) -> list[Window]:
        """Return the intervals as windows in order."""
        return [Window.of_us(start, end) for start, end in self.pairs()]

    @property
    def total_us(self) -> int:
        """Return the summed length in µs."""
        return int((self.ends - self.starts).sum())

    @property
    def hull(self) -> Window:
        """Return the shortest window that holds all; an empty set has none: ValueError."""
        if not len(self):
            raise ValueError("nothing has no hull")
        return Window.of_us(int(self.starts[0]), int(self.ends[-1]))

    def union(self, other: Ranges) -> Ranges:
        """Return what lies in either set."""
        if not len(other):
            return self
        if not len(self):
            return other
        return Ranges.of_arrays(
            np.concatenate((self.starts, other.starts)), np.concatenate((self.ends, other.ends))
        )

    def intersect(self, other: Ranges) -> Ranges:
        """Return what lies in both sets."""
        if not len(self) or not len(other):
            return _EMPTY
        first = np.searchsorted(other.ends, self.starts, side="right")
        last = np.searchsorted(other.starts, self.ends, side="left")
        counts = np.maximum(last - first, 0)
        mine = np.repeat(np.arange(len(self)), counts)
        if not len(mine):
            return _EMPTY
        # Position of each pair within its own run of overlapping intervals of `other`.
        within = np.arange(len(mine)) - np.repeat(np.cumsum(counts) - counts, counts)
        theirs = np.repeat(first, counts) + within
        return Ranges._frozen(
            np.maximum(self.starts[mine], other.starts[theirs]),
            np.minimum(self.ends[mine], other.ends[theirs]),
        )

    def subtract(self, other: Ranges) -> Ranges:
        """Return what lies in this set and not in the other."""
        if not len(self) or not len(other):
            return self
        outside = Ranges(
            np.concatenate(([_MIN], other.ends)), np.concatenate((other.starts, [_MAX]))
        )
        return self.intersect(outside)

    def clip(self, start_us: int, end_us: int) -> Ranges:
        """Return the part inside [start_us, end_us)."""
        return self.intersect(Ranges.of([(start_us, end_us)]))

    @overload
    def contains(self, stamps: int) -> bool: ...
    @overload
    def contains(self, stamps: Stamps) -> NDArray[np.bool_]: ...
    def contains(self, stamps: int | Stamps) -> bool | NDArray[np.bool_]:
        """Tell for one stamp, or for each of an array, whether it lies inside."""
        at = np.searchsorted(self.starts, stamps, side="right") - 1
        if not len(self):
            return False if np.isscalar(stamps) else np.zeros(np.shape(stamps), np.bool_)
        inside = (at >= 0) & (np.asarray(stamps) < self.ends[np.maximum(at, 0)])
        return bool(inside) if np.isscalar(stamps) else np.asarray(inside, np.bool_)

    def covers(self, start_us: int, end_us: int) -> bool:
        """Tell whether [start_us, end_us) lies inside without a hole; an empty one always does."""
        return end_us <= start_us or self.watermark(start_us) >= end_us

    def watermark(self, from_us: int) -> int:
        """Return the end of the contiguous coverage that begins at `from_us`.

        Returns `from_us` itself where that stamp is not covered.
        """
        at = int(np.searchsorted(self.starts, from_us, side="right")) - 1
        if at < 0:
            return from_us
        return max(from_us, int(self.ends[at]))


_EMPTY = Ranges._frozen(np.empty(0, np.int64), np.empty(0, np.int64))
