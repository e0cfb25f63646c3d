"""Lay the bars of one length over sessions, minute by minute, for providers computed here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from providers.instants import utc_offsets
from providers.sessions import DAY_US, Sessions, Stamps
from providers.types import Anchor, Timeframe

_MINUTE_US: Final = 60_000_000
Indexes = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Describe sessions that trade the same minutes: which of them begin a bar, and its stamp.

    `minutes` trade; bar i runs over trading minutes edges[i] to ends[i] and is stamped
    offsets[i] µs after the open (before it where the clock's hour began earlier).
    """

    minutes: int
    edges: Indexes
    ends: Indexes
    offsets: Stamps


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Hold the sessions of one shape: `stamps` is (sessions, bars), `places` where they belong."""

    labels: Stamps
    minutes: int
    edges: Indexes
    ends: Indexes
    stamps: Stamps
    places: Indexes


@dataclass(frozen=True, slots=True, eq=False)
class SessionGrid:
    """Hold sessions with the shape of each; `kinds[i]` indexes `shapes`.

    `crosses_sessions` tells whether some bar near the window begins in one session and runs on
    into the next, which cannot be laid out session by session.
    """

    sessions: Sessions
    shapes: tuple[Shape, ...]
    kinds: Indexes
    crosses_sessions: bool

    @classmethod
    def over(
        cls,
        sessions: Sessions,
        *,
        timeframe: Timeframe,
        anchor: Anchor,
        start_us: int,
        end_us: int,
    ) -> SessionGrid:
        """Select the sessions of which some bar is stamped in [start_us, end_us)."""
        # A bar counted by the clock may be stamped before its session opens.
        near = sessions.overlapping(start_us - DAY_US, end_us + DAY_US)
        step = round(timeframe.duration.total_seconds()) // 60
        shapes, kinds = _shapes(near, step, anchor)
        first = near.opens + np.array([shape.offsets[0] for shape in shapes], np.int64)[kinds]
        last = near.opens + np.array([shape.offsets[-1] for shape in shapes], np.int64)[kinds]
        grid = cls(near, shapes, kinds, bool((first[1:] <= last[:-1]).any()))
        return grid._rows(int(np.searchsorted(last, start_us)), int(np.searchsorted(first, end_us)))

    @property
    def counts(self) -> Stamps:
        """Return the number of bars per session."""
        return np.array([len(shape.offsets) for shape in self.shapes], np.int64)[self.kinds]

    @property
    def total(self) -> int:
        """Return the number of bars of all sessions."""
        return int(self.counts.sum())

    def count(self, start_us: int, end_us: int) -> int:
        """Count the bars stamped in [start_us, end_us)."""
        if not len(self.kinds):
            return 0
        # Only the first and the last session can reach beyond the window.
        edges = [self._stamps_of(row) for row in {0, len(self.kinds) - 1}]
        outside = [np.count_nonzero((edge < start_us) | (edge >= end_us)) for edge in edges]
        return self.total - int(sum(outside))

    def first_sessions(self, start_us: int, rows: int) -> SessionGrid:
        """Keep as many sessions from the first as hold `rows` bars from `start_us` on."""
        if not len(self.kinds):
            return self
        missed = int(np.count_nonzero(self._stamps_of(0) < start_us))
        enough = int(np.searchsorted(np.cumsum(self.counts), rows + missed))
        return self._rows(0, min(enough + 1, len(self.kinds)))

    def groups(self) -> Iterator[Group]:
        """Yield the sessions by shape, with the place of every bar in ascending order."""
        counts = self.counts
        begins = np.cumsum(counts) - counts
        for kind, shape in enumerate(self.shapes):
            rows = np.flatnonzero(self.kinds == kind)
            if not len(rows):
                continue
            yield Group(
                labels=self.sessions.labels[rows],
                minutes=shape.minutes,
                edges=shape.edges,
                ends=shape.ends,
                stamps=self.sessions.opens[rows, None] + shape.offsets,
                places=begins[rows, None] + np.arange(len(shape.offsets)),
            )

    def _stamps_of(self, row: int) -> Stamps:
        stamps: Stamps = self.sessions.opens[row] + self.shapes[self.kinds[row]].offsets
        return stamps

    def _rows(self, first: int, last: int) -> SessionGrid:
        last = max(first, last)
        return replace(
            self, sessions=self.sessions.rows(slice(first, last)), kinds=self.kinds[first:last]
        )


def _shapes(sessions: Sessions, step: int, anchor: Anchor) -> tuple[tuple[Shape, ...], Indexes]:
    length = (sessions.closes - sessions.opens) // _MINUTE_US
    early = np.zeros_like(length)
    if anchor is Anchor.CLOCK:
        early = (sessions.opens + utc_offsets(sessions.opens, sessions.tz)) // _MINUTE_US % step
    features = np.column_stack((length, early, _pauses(sessions, length)))
    distinct, kinds = np.unique(features, axis=0, return_inverse=True)
    shapes = tuple(_shape(row, step=step, anchor=anchor) for row in distinct)
    return shapes, kinds.reshape(-1)


def _pauses(sessions: Sessions, length: Stamps) -> Stamps:
    """Return one row per session: start and end of each pause in minutes, at the close if none."""
    starts, ends, owner = sessions.pauses()
    first = np.searchsorted(owner, owner)
    place = np.arange(len(owner)) - first
    pauses = np.repeat(length[:, None], 2 * (int(place.max(initial=-1)) + 1), axis=1)
    pauses[owner, 2 * place] = (starts - sessions.opens[owner]) // _MINUTE_US
    pauses[owner, 2 * place + 1] = (ends - sessions.opens[owner]) // _MINUTE_US
    return pauses


def _shape(features: Stamps, *, step: int, anchor: Anchor) -> Shape:
    length, early, starts, ends = features[0], features[1], features[2::2], features[3::2]
    minutes = np.arange(length)
    # How many pauses lie behind each minute; inside one, it has begun and not ended.
    behind = np.searchsorted(ends, minutes, side="right")
    trading = np.searchsorted(starts, minutes, side="right") == behind
    minutes, behind = minutes[trading], behind[trading]
    if anchor is Anchor.CLOCK:
        slots = (minutes + early) // step * step - early
    else:
        # Bars are counted anew after each pause.
        origin = np.append(0, ends)[behind]
        slots = origin + (minutes - origin) // step * step
    edges = np.flatnonzero(np.diff(slots, prepend=slots[0] - 1))
    return Shape(
        minutes=len(minutes),
        edges=edges,
        ends=np.append(edges[1:], len(minutes)),
        offsets=slots[edges] * _MINUTE_US,
    )
