"""Judge sessions by their coverage when they were due to be complete, never by the last write."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.gaps import GapReport
from ingestion.domain.grid import longer_than_session
from ingestion.domain.windows import DAY_US, MINUTE_US
from providers.sessions import Sessions
from providers.types import Hours, Timeframe

Stamps = NDArray[np.int64]
Mask = NDArray[np.bool_]

# A breach is looked at again after a tenth of its age, within these bounds.
_SOONEST_US: Final = MINUTE_US
_LATEST_US: Final = 60 * MINUTE_US
_CACHED_VENUES: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class Closings:
    """Hold n sessions in ascending order by which bars become complete; int64 µs since the epoch.

    `labels` is the session date at 00:00Z (of a week or month, that of its last session), `closes`
    when its bars are over, [starts[i], ends[i]) the stamps of those bars.
    """

    labels: Stamps
    closes: Stamps
    starts: Stamps
    ends: Stamps

    def __len__(self) -> int:
        return len(self.labels)

    def due(self, *, since_us: int, until_us: int, target_us: int, at_most: int) -> slice:
        """Select what is due in [since, until], `target` after each close; the newest of many."""
        first = int(np.searchsorted(self.closes, since_us - target_us, side="left"))
        last = int(np.searchsorted(self.closes, until_us - target_us, side="right"))
        return slice(max(first, last - at_most), max(first, last))

    def next_due(self, *, after_us: int, target_us: int) -> int | None:
        """Return when the next session is due, strictly after a moment; None past the calendar."""
        index = int(np.searchsorted(self.closes, after_us - target_us, side="right"))
        return int(self.closes[index]) + target_us if index < len(self) else None

    def take(self, rows: Sequence[int]) -> Closings:
        """Select sessions by position."""
        chosen = np.asarray(rows, np.intp)
        return Closings(
            self.labels[chosen], self.closes[chosen], self.starts[chosen], self.ends[chosen]
        )

    def places(self, labels: Mapping[int, int]) -> dict[int, int]:
        """Return where the session of each of these labels stands; what is none is absent.

        Both map from whatever key the caller knows them by.
        """
        if not labels or not len(self):
            return {}
        asked = np.fromiter(labels.values(), np.int64, len(labels))
        found = np.minimum(np.searchsorted(self.labels, asked), len(self) - 1)
        hit = self.labels[found] == asked
        return {
            key: int(place) for key, place, is_one in zip(labels, found, hit, strict=True) if is_one
        }


@functools.lru_cache(maxsize=_CACHED_VENUES)
def closings(sessions: Sessions, *, timeframe: Timeframe, hours: Hours) -> Closings:
    """Return the sessions of a venue by which bars of a length become complete.

    Extended hours end with the session's latest trading. Cached by the identity of `sessions`.
    """
    if not timeframe.is_intraday:
        bars = longer_than_session(sessions, timeframe=timeframe)
        last = np.searchsorted(sessions.labels, bars.ends, side="left") - 1
        return Closings(sessions.labels[last], bars.closes, bars.starts, bars.ends)
    over = sessions.latest if hours is Hours.EXTENDED else sessions.closes
    if not len(sessions):
        return Closings(sessions.labels, over, over, over)
    # Bars counted by the clock may be stamped before the open, never before the last close.
    return Closings(
        labels=sessions.labels,
        closes=over,
        starts=np.append(sessions.earliest[0] - DAY_US, over[:-1]),
        ends=over,
    )


def lacks(reports: Sequence[GapReport], sessions: Closings) -> Mask:
    """Tell for each report (row) and session (column) whether some of its bars are neither
    loaded nor explained; the reports must reach over all of the sessions."""
    found = np.zeros((len(reports), len(sessions)), np.bool_)
    gaps = [(row, gap.start, gap.end) for row, one in enumerate(reports) for gap in one.gaps]
    if gaps and len(sessions):
        table = np.asarray(gaps, np.int64)
        first = np.searchsorted(sessions.ends, table[:, 1], side="right")
        last = np.searchsorted(sessions.starts, table[:, 2], side="left")
        for row, begin, end in zip(table[:, 0], first, last, strict=True):
            found[row, begin:end] = True
    return found


def recheck_at(*, due_us: int, now_us: int) -> int:
    """Return when to look again whether a session that was due has become complete."""
    return now_us + min(max((now_us - due_us) // 10, _SOONEST_US), _LATEST_US)
