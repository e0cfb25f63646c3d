"""The words of schedules: what they start, what they do about overlap and lateness, what befell."""

from __future__ import annotations

import enum


class ScheduleAction(enum.StrEnum):
    """Name what a due slot starts.

    `update` fetches what the definition lacks; `verify` fetches the slot's session again and
    compares; `repair` fetches the window of the signal again; `inspect` runs the quality checks.
    """

    UPDATE = "update"
    VERIFY = "verify"
    REPAIR = "repair"
    INSPECT = "inspect"


class Overlap(enum.StrEnum):
    """Name what to do while an earlier job of the same schedule is still open.

    `skip` drops the slot; `buffer_one` lets one wait and drops the rest into it; `buffer_all` lets
    all wait in order; `allow_all` lets them run side by side.
    """

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    BUFFER_ALL = "buffer_all"
    ALLOW_ALL = "allow_all"


class Catchup(enum.StrEnum):
    """Name what to do about slots that came due while nobody fired them.

    `none` skips them, `latest` fires the last and lets the others coalesce into it, `each` fires
    all; none of the three fires a slot later than the schedule's `max_lateness`.
    """

    NONE = "none"
    LATEST = "latest"
    EACH = "each"


class Disposition(enum.StrEnum):
    """Name what became of a due slot; each has exactly one, which never changes."""

    FIRED = "fired"
    COALESCED = "coalesced"
    SKIPPED_LATE = "skipped_late"
    SKIPPED_OVERLAP = "skipped_overlap"
    PAUSED = "paused"
    EXCLUDED = "excluded"
