"""Tell half days, late opens and sessions of their own from the usual ones; numpy only."""

from __future__ import annotations

import enum
import functools
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from providers.instants import utc_offsets
from providers.sessions import DAY_US, Sessions, Stamps
from providers.venue_days import weekdays

Mask = NDArray[np.bool_]


class SessionKind(enum.StrEnum):
    """Say how a session differs from those around it.

    `special` is a session on a day that usually has none, or with hours of its own: neither the
    usual open nor the usual close, or more than them.
    """

    NORMAL = "normal"
    EARLY_CLOSE = "early_close"
    LATE_OPEN = "late_open"
    SPECIAL = "special"


# Objects of their own: numpy makes plain text of members that it is left to fill in.
_KINDS: Final = np.array(
    [
        SessionKind.NORMAL,
        SessionKind.EARLY_CLOSE,
        SessionKind.LATE_OPEN,
        SessionKind.SPECIAL,
    ],
    object,
)
# Sessions of the same weekday, before and after: hours change for seasons and for good, half days
# come one by one. What is as usual for either side is usual, so that a change of hours is none.
_NEIGHBOURS: Final = 11
_WEEK_US: Final = 7 * DAY_US
# A weekday that fewer than a quarter of the weeks around know is not a usual one.
_LEAST_OF_WEEKDAY: Final = (2 * _NEIGHBOURS + 1) // 4


@functools.lru_cache(maxsize=256)
def session_kinds(sessions: Sessions) -> NDArray[Any]:
    """Return the SessionKind of each session, one object array; cached by identity.

    Ask for all sessions of a venue (`sessions_for`): what is usual is learned from the neighbours.
    """
    if not len(sessions):
        return np.empty(0, object)
    zone, labels = sessions.tz, sessions.labels
    opens = sessions.opens + utc_offsets(sessions.opens, zone) - labels
    closes = sessions.closes + utc_offsets(sessions.closes, zone) - labels
    weekday = weekdays(labels // DAY_US)
    special = np.isin(labels, sessions.added)
    late, early = np.zeros((2, len(labels)), np.bool_)
    for day in np.unique(weekday):
        rows = np.flatnonzero(weekday == day)
        usual_open, usual_close = _usual(opens[rows]), _usual(closes[rows])
        late[rows], early[rows] = opens[rows] > usual_open, closes[rows] < usual_close
        special[rows] |= _is_rare(labels[rows])
        special[rows] |= (opens[rows] < usual_open) | (closes[rows] > usual_close)
    codes = np.zeros(len(labels), np.intp)
    codes[early], codes[late], codes[special | (late & early)] = 1, 2, 3
    kinds = _KINDS[codes]
    kinds.setflags(write=False)
    return kinds


def _usual(hours: Stamps) -> Stamps:
    """Return for each value the one that most of its neighbours have; itself if either side has."""
    around = np.pad(hours, _NEIGHBOURS, mode="reflect" if len(hours) > _NEIGHBOURS else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(around, _NEIGHBOURS)
    medians = np.partition(windows, _NEIGHBOURS // 2, axis=1)[:, _NEIGHBOURS // 2]
    before, after = medians[: len(hours)], medians[-len(hours) :]
    return np.where((hours == before) | (hours == after), hours, before)


def _is_rare(labels: Stamps) -> Mask:
    """Tell which sessions of one weekday have hardly any like them in the weeks around."""
    reach = _NEIGHBOURS * _WEEK_US
    after = np.searchsorted(labels, labels + reach, side="right")
    before = np.searchsorted(labels, labels - reach, side="left")
    rare: Mask = after - before < _LEAST_OF_WEEKDAY
    return rare
