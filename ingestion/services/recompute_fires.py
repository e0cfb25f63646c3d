"""Reckon anew when schedules are next due: after an edit, a resume, a change of a calendar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


def recompute_fires(
    *, now: datetime, venue: str | None = None, schedule_ids: Sequence[int] = ()
) -> int:
    """Set the next fires of schedules of a venue, or of these, and return how many there were.

    Due times that have come already are fired first by whoever fires; nothing due is lost.
    """
    raise NotImplementedError
