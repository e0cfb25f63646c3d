"""The grid of bar stamps: contiguous trading segments, each counted in equal steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.windows import DAY_US, MICROSECOND
from providers.instants import utc_offsets
from providers.sessions import Sessions
from providers.types import Anchor, Hours, Timeframe

Stamps = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Hold n disjoint ascending segments of stamps: starts[i], starts[i] + step, ... < ends[i].

    `closes` is when the last bar of each segment is over, `before` how many stamps lie in all
    earlier segments; all in int64 µs. Methods take and return µs.
    """

    starts: Stamps
    ends: Stamps
    closes: Stamps
    before: Stamps
    step: int

    @classmethod
    def build(cls, *, starts: Stamps, ends: Stamps, closes: Stamps, step: int) -> Segments:
        """Count the stamps of each segment and freeze the columns."""
        counts = -((starts - ends) // step)
        before = np.concatenate(([0], np.cumsum(counts)))
        for column in (starts, ends, closes, before):
            column.setflags(write=False)
        return cls(starts=starts, ends=ends, closes=closes, before=before, step=step)

    def rank(self, at: Stamps) -> Stamps:
        """Return for each moment, in any order, how many stamps lie strictly before it."""
        index = np.searchsorted(self.starts, at, side="left") - 1
        inside = np.maximum(index, 0)
        if not len(self.starts):
            return np.zeros_like(index)
        steps = -((self.starts[inside] - at) // self.step)
        ranks = np.minimum(self.before[inside] + steps, self.before[inside + 1])
        return np.where(index >= 0, ranks, 0)

    def count(self, start_us: int, end_us: int) -> int:
        """Count the stamps in [start_us, end_us)."""
        first, last = self.rank(np.array((start_us, end_us), dtype=np.int64))
        return max(0, int(last - first))

    def stamps(self, start_us: int, end_us: int) -> Stamps:
        """List the stamps in [start_us, end_us), ascending."""
        first, last = self.rank(np.array((start_us, end_us), dtype=np.int64))
        return self._ranked(np.arange(first, max(first, last)))

    def first_from(self, at: Stamps) -> Stamps:
        """Return the first stamp from each moment on, or the largest int64 where there is none."""
        ranks = self.rank(at)
        found = np.full(len(at), np.iinfo(np.int64).max)
        known = ranks < self.before[-1]
        found[known] = self._ranked(ranks[known])
        return found

    def last_before(self, at: Stamps) -> Stamps:
        """Return the last stamp before each moment, or the smallest int64 where there is none."""
        ranks = self.rank(at)
        found = np.full(len(at), np.iinfo(np.int64).min)
        known = ranks > 0
        found[known] = self._ranked(ranks[known] - 1)
        return found

    def _ranked(self, ranks: Stamps) -> Stamps:
        index = np.searchsorted(self.before, ranks, side="right") - 1
        return self.starts[index] + (ranks - self.before[index]) * self.step

    def first_at_or_after(self, at_us: int) -> int:
        """Return the first stamp from `at_us` on, or the largest int64 where there is none."""
        index = int(np.searchsorted(self.ends, at_us, side="right"))
        if index < len(self.starts):
            start = int(self.starts[index])
            stamp = start + max(0, -((start - at_us) // self.step)) * self.step
            if stamp < int(self.ends[index]):
                return stamp
            if index + 1 < len(self.starts):
                return int(self.starts[index + 1])
        return int(np.iinfo(np.int64).max)

    def on_grid(self, stamps: Stamps) -> NDArray[np.bool_]:
        """Tell for each stamp, in any order, whether it is one of the grid's."""
        if not len(stamps) or not len(self.starts):
            return np.zeros(len(stamps), np.bool_)
        first, last = self._reach(stamps)
        starts, ends = self.starts[first:last], self.ends[first:last]
        index = np.maximum(np.searchsorted(starts, stamps, side="right") - 1, 0)
        offset = stamps - starts[index]
        aligned: NDArray[np.bool_] = offset % self.step == 0
        return aligned & (offset >= 0) & (stamps < ends[index])

    def bar_ends(self, stamps: Stamps) -> Stamps:
        """Return when the bar of each stamp is over; off the grid, one step later."""
        nominal = stamps + self.step
        if not len(stamps) or not len(self.starts):
            return nominal
        index = np.maximum(np.searchsorted(self.starts, stamps, side="right") - 1, 0)
        inside = (stamps >= self.starts[index]) & (stamps < self.ends[index])
        # The only bar of a long segment (1d, 1w, 1mo) ends with it, wherever its close lies.
        closes = self.closes[index]
        last = stamps + self.step >= self.ends[index]
        return np.where(inside & last, closes, nominal)

    def _reach(self, stamps: Stamps) -> tuple[int, int]:
        """Return the slice of segments that stamps can fall into; never an empty one."""
        last = int(np.searchsorted(self.starts, stamps.max(), side="right"))
        first = int(np.searchsorted(self.starts, stamps.min(), side="right")) - 1
        return max(0, first), max(1, last)


def runs(keys: NDArray[np.int64] | NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indexes of the first and of the last of each run of equal keys."""
    if not len(keys):
        return np.empty(0, np.intp), np.empty(0, np.intp)
    changes = np.flatnonzero(keys[1:] != keys[:-1])
    return np.append(0, changes + 1), np.append(changes, len(keys) - 1)


def longer_than_session(sessions: Sessions, *, timeframe: Timeframe) -> Segments:
    """Return one segment per 1d, 1w or 1mo bar, holding its one stamp."""
    days = sessions.labels // DAY_US
    if timeframe is Timeframe.D1:
        starts, ends, last = sessions.labels, sessions.labels + DAY_US, np.arange(len(days))
    else:
        if timeframe is Timeframe.W1:
            # Day 0 of the epoch was a Thursday.
            groups = days - (days + 3) % 7
            following = groups + 7
        else:
            months = days.astype("datetime64[D]").astype("datetime64[M]")
            groups = months.astype("datetime64[D]").astype(np.int64)
            following = (months + 1).astype("datetime64[D]").astype(np.int64)
        first, last = runs(groups)
        starts, ends = groups[first] * DAY_US, following[first] * DAY_US
    return Segments.build(
        starts=starts.copy(),
        ends=ends,
        closes=sessions.closes[last],
        step=timeframe.duration // MICROSECOND,
    )


def session_segments(
    sessions: Sessions, *, step: int, hours: Hours, anchor: Anchor
) -> tuple[Segments, NDArray[np.intp]]:
    """Return the intraday segments, and for each the index of the session it belongs to."""
    starts, ends, owner = _trading_parts(sessions, hours=hours, anchor=anchor)
    closes = ends.copy()
    if anchor is Anchor.CLOCK:
        offsets = utc_offsets(sessions.opens, sessions.tz)
        floored = _floor_to_clock(starts, offsets=offsets[owner], step=step)
        # A bar that began in one part runs on into the next and is not begun again there.
        overlap = np.maximum(0, np.append(0, ends[:-1] - floored[1:]))
        runs_on = np.minimum(floored[1:] + step, ends[1:])
        closes[:-1] = np.where(overlap[1:] > 0, runs_on, ends[:-1])
        starts = floored - (-overlap // step) * step
    kept = starts < ends
    starts, ends, closes, owner = starts[kept], ends[kept], closes[kept], owner[kept]
    return Segments.build(starts=starts, ends=ends, closes=closes, step=step), owner


def _trading_parts(
    sessions: Sessions, *, hours: Hours, anchor: Anchor
) -> tuple[Stamps, Stamps, NDArray[np.intp]]:
    """Split every session at its pauses, with what lies before and after it if extended."""
    rows = np.arange(len(sessions))
    pauses, resumes, paused = sessions.pauses()
    # Parts are disjoint, so their edges and owners pair up by themselves once each is in order.
    parts = [
        (
            np.sort(np.concatenate((sessions.opens, resumes))),
            np.sort(np.concatenate((pauses, sessions.closes))),
            np.sort(np.concatenate((rows, paused))),
        )
    ]
    if hours is Hours.EXTENDED and _trades_outside(sessions):
        if anchor is Anchor.CLOCK:
            parts = [(sessions.earliest, sessions.latest, rows)]
        else:
            parts.append((sessions.earliest, sessions.opens, rows))
            parts.append((sessions.closes, sessions.latest, rows))
    starts = np.concatenate([part[0] for part in parts])
    ends = np.concatenate([part[1] for part in parts])
    owner = np.concatenate([part[2] for part in parts])
    order = np.argsort(starts, kind="stable")
    return starts[order], ends[order], owner[order]


def _trades_outside(sessions: Sessions) -> bool:
    """Tell whether the venue knows trading before or after its sessions."""
    before, after = sessions.earliest < sessions.opens, sessions.latest > sessions.closes
    return bool(before.any() or after.any())


def _floor_to_clock(stamps: Stamps, *, offsets: Stamps, step: int) -> Stamps:
    """Round down to a full step of the venue's own clock, which may be half an hour off UTC."""
    local = stamps + offsets
    return local - local % step - offsets
