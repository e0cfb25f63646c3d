"""Calendars as the rest of mdc sees them: sessions per venue, expectations per series."""

from __future__ import annotations

import functools
from typing import Final

from ingestion.domain.expectation import Expectation, expect
from providers.sessions import Sessions
from providers.types import Anchor, Hours, Timeframe
from providers.venues import load_sessions

_CACHED_SERIES_SHAPES: Final = 1024


def sessions_for(venue: str) -> Sessions:
    """Return every known session of a venue, the same object each time.

    Raises providers.venues.UnknownVenue. The first call in a process takes about a second.
    """
    return load_sessions(venue)


@functools.lru_cache(maxsize=_CACHED_SERIES_SHAPES)
def expectation_for(
    *, venue: str, timeframe: Timeframe, hours: Hours, anchor: Anchor
) -> Expectation:
    """Return what a series of this shape should hold; text values of the enums serve as well.

    Raises providers.venues.UnknownVenue.
    """
    return expect(
        sessions_for(venue),
        timeframe=Timeframe(timeframe),
        hours=Hours(hours),
        anchor=Anchor(anchor),
    )
