"""Calendars as the rest of mdc sees them: sessions per venue, expectations per series.

No I/O here: `services.refresh_calendars` reads what people declared and pushes it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ingestion.domain.expectation import Expectation, expect
from ingestion.domain.overrides import Override, declared_sessions
from providers.declared import Declared, use_declared
from providers.declared import current as _declared
from providers.sessions import Sessions
from providers.types import Anchor, Hours, Timeframe
from providers.venues import load_sessions


def sessions_for(venue: str) -> Sessions:
    """Return every known session of a venue, the same object while nothing declared changes it.

    Raises providers.venues.UnknownVenue. The first call in a process takes about a second.
    """
    return load_sessions(venue)


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


def calendar_revision() -> int:
    """Return the revision of what is declared, as this process knows it; 0 without any."""
    return _declared().revision


def use_overrides(revision: int, held: Iterable[Override]) -> None:
    """Let these overrides hold in this process from now on; venues they leave alone stay as is."""
    use_declared(Declared(revision, declared_sessions(held)))
