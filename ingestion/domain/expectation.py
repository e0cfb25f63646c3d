"""What a series should hold: the bars and sessions that a venue's calendar promises.

Everything here lives in stamp space: intraday bars are stamped by their start, 1d by its session
date, 1w by its Monday, 1mo by its first. A `unit` is what coverage is judged by: one session for
intraday timeframes, else one bar.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.coverage import Ranges
from ingestion.domain.grid import Segments, longer_than_session, runs, session_segments
from ingestion.domain.windows import MICROSECOND, Window, from_us
from providers.sessions import Sessions
from providers.types import Anchor, Hours, Timeframe

Stamps = NDArray[np.int64]
_CACHED_EXPECTATIONS: Final = 512


class OutsideCalendar(LookupError):
    """Signal a window about which the venue's calendar knows nothing."""

    def __init__(self, sessions: Sessions, window: Window) -> None:
        first, last = from_us(sessions.known_from).date(), from_us(sessions.known_until).date()
        super().__init__(
            f"the calendar of {sessions.venue} is known from {first} until {last}, its last "
            f"known session is {_last_session(sessions)}, not for all of "
            f"{window.start} to {window.end}; ask for a window inside"
        )
        self.venue = sessions.venue
        self.window = window
        self.known_from = sessions.known_from
        self.known_until = sessions.known_until


def _last_session(sessions: Sessions) -> str:
    return str(from_us(int(sessions.labels[-1])).date()) if len(sessions) else "none"


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Hold n disjoint ascending spans [starts[i], ends[i]) in µs, each with its label.

    `labels` is the session date at 00:00Z for intraday series, else the bar's stamp.
    `full_starts` and `full_ends` are the whole session of which the span may be a clipped part;
    they equal the span where a unit has one stamp only and nothing of it can lie elsewhere.
    """

    starts: Stamps
    ends: Stamps
    labels: Stamps
    full_starts: Stamps
    full_ends: Stamps

    @classmethod
    def whole(cls, *, starts: Stamps, ends: Stamps, labels: Stamps) -> Units:
        """Build units that no window has clipped."""
        return cls(starts, ends, labels, starts, ends)

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, rows: NDArray[np.bool_] | slice) -> Units:
        """Select units by mask or slice."""
        return Units(*(getattr(self, name)[rows] for name in Units.__slots__))

    def join(self, other: Units) -> Units:
        """Put units before others."""
        if not len(self):
            return other
        names = Units.__slots__
        return Units(*(np.concatenate((getattr(self, n), getattr(other, n))) for n in names))

    def clip(self, start_us: int, end_us: int) -> Units:
        """Keep what lies in [start_us, end_us), shortening the units at its edges."""
        if not len(self) or (self.starts[0] >= start_us and self.ends[-1] <= end_us):
            return self
        kept = self.take((self.ends > start_us) & (self.starts < end_us))
        return replace(
            kept,
            starts=np.maximum(kept.starts, start_us),
            ends=np.minimum(kept.ends, end_us),
        )

    def ranges(self) -> Ranges:
        """Return the spans as a set of intervals; adjacent units melt together."""
        return Ranges.of_arrays(self.starts, self.ends)


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """Answer what one (venue, timeframe, hours, anchor) promises; get it from `expect`.

    `accepted` are the segments in which a bar may be stamped, `promised` those in which one is
    expected. They differ for extended hours only: bars before and after the session are accepted,
    but only the regular session is counted on.
    """

    sessions: Sessions
    timeframe: Timeframe
    accepted: Segments
    promised: Segments
    units: Units

    def expected_units(self, window: Window) -> Units:
        """Return the units with at least one promised stamp in the window, clipped to it.

        Every start is itself an accepted stamp. Raises OutsideCalendar.
        """
        self.require(window)
        return self.units_between(window.start_us, window.end_us)

    def units_between(self, start_us: int, end_us: int) -> Units:
        """Return `expected_units` of [start_us, end_us) without asking how far it is known."""
        first = int(np.searchsorted(self.units.ends, start_us, side="right"))
        last = int(np.searchsorted(self.units.starts, end_us, side="left"))
        if first >= last:
            return self.units.take(slice(0, 0))
        # A unit of which the window holds no promised stamp is not expected to show up in it.
        if self.promised.first_at_or_after(start_us) >= int(self.units.ends[first]):
            first += 1
        latest = max(start_us, int(self.units.starts[last - 1]))
        if self.promised.first_at_or_after(latest) >= end_us:
            last -= 1
        head = self.accepted.first_at_or_after(start_us)
        found = self.units.take(slice(first, max(first, last))).clip(head, end_us)
        if self.timeframe.is_intraday:
            return found
        return Units.whole(starts=found.starts, ends=found.ends, labels=found.labels)

    def expected_stamps(self, window: Window) -> Stamps:
        """Return every stamp at which a bar is expected, ascending; raises OutsideCalendar."""
        self.require(window)
        return self.promised.stamps(window.start_us, window.end_us)

    def count_expected_bars(self, window: Window) -> int:
        """Count the expected stamps in the window without listing them; raises OutsideCalendar."""
        self.require(window)
        return self.promised.count(window.start_us, window.end_us)

    def on_grid(self, stamps: Stamps) -> NDArray[np.bool_]:
        """Tell for each stamp, in any order, whether a bar of this series may carry it."""
        return self.accepted.on_grid(stamps)

    def bar_ends(self, stamps: Stamps) -> Stamps:
        """Return when each bar is over, in µs: never later than its session's or part's close.

        A daily bar ends with its session, a weekly or monthly one with its last session. A stamp
        off the grid ends one nominal length later.
        """
        return self.accepted.bar_ends(stamps)

    def require(self, window: Window) -> None:
        """Raise OutsideCalendar unless the calendar knows all of the window."""
        known = self.sessions
        if window.start_us < known.known_from or window.end_us > known.known_until:
            raise OutsideCalendar(known, window)


@functools.lru_cache(maxsize=_CACHED_EXPECTATIONS)
def expect(
    sessions: Sessions, *, timeframe: Timeframe, hours: Hours, anchor: Anchor
) -> Expectation:
    """Build what a series of this shape should hold; cached by the identity of `sessions`.

    A year of one-minute bars costs nothing here: segments are kept, stamps are computed.
    """
    step = timeframe.duration // MICROSECOND
    if not timeframe.is_intraday:
        bars = longer_than_session(sessions, timeframe=timeframe)
        units = Units.whole(starts=bars.starts, ends=bars.ends, labels=bars.starts)
        return Expectation(sessions, timeframe, accepted=bars, promised=bars, units=units)
    accepted, owner = session_segments(sessions, step=step, hours=hours, anchor=anchor)
    promised = accepted
    if hours is Hours.EXTENDED:
        promised, _ = session_segments(sessions, step=step, hours=Hours.REGULAR, anchor=anchor)
    first, last = runs(owner)
    units = Units.whole(
        starts=accepted.starts[first],
        ends=accepted.ends[last],
        labels=sessions.labels[owner[first]],
    )
    return Expectation(sessions, timeframe, accepted=accepted, promised=promised, units=units)
