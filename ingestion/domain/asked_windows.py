"""Find the stamps that a session, or a window of instants, means for one series."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import numpy as np

from ingestion.domain.expectation import Expectation, Units
from ingestion.domain.windows import DAY_US, Window, to_us
from providers.instants import floor_dates
from providers.types import Timeframe


def session_window(expectation: Expectation, session: date) -> Window | None:
    """Return the stamps of a session's bars; of longer bars, those of the one that holds it.

    None where the venue has no such session.
    """
    label = to_us(datetime.combine(session, time.min, tzinfo=UTC))
    units = expectation.units
    if expectation.timeframe.is_intraday:
        return _hull(units, units.labels == label)
    return _hull(units, (units.starts <= label) & (label < units.ends))


def last_session_window(expectation: Expectation, *, settled: datetime) -> Window | None:
    """Return the stamps of the last session of which every bar is settled.

    `settled` is the exclusive stamp before which bars are, as resolving a request finds it.
    """
    units = expectation.units
    # A bar of a session and longer is over with its last close, before its stamps are.
    over = units.ends if expectation.timeframe.is_intraday else expectation.bar_ends(units.starts)
    before = int(np.searchsorted(over, to_us(settled), side="right"))
    return _hull(units, units.labels == units.labels[before - 1]) if before else None


def in_stamps(window: Window, timeframe: Timeframe) -> Window:
    """Widen a window to the stamps of the bars that lie in it, also in part.

    Bars of a session and longer are stamped by its date, which may come before its first instant.
    """
    if timeframe.is_intraday:
        return window
    first = int(floor_dates(np.array([window.start_us // DAY_US * DAY_US]), timeframe)[0])
    return Window.of_us(first, -(-window.end_us // DAY_US) * DAY_US)


def _hull(units: Units, chosen: np.typing.NDArray[np.bool_]) -> Window | None:
    places = np.flatnonzero(chosen)
    if not len(places):
        return None
    return Window.of_us(int(units.starts[places[0]]), int(units.ends[places[-1]]))
