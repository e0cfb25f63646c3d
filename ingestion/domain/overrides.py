"""The words of calendar overrides."""

from __future__ import annotations

import enum


class OverrideKind(enum.StrEnum):
    """Name what an override says of one session of a venue.

    `closed` takes the session away; `hours` gives it other hours (a late open, an early close);
    `special` adds a session on a day without one; `halt` is a span in which nothing trades;
    `withdrawn` takes the override before it back.
    """

    CLOSED = "closed"
    HOURS = "hours"
    SPECIAL = "special"
    HALT = "halt"
    WITHDRAWN = "withdrawn"
