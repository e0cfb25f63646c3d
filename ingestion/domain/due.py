"""When a rule is due: pure functions of the rule, a zone, a venue's sessions and a moment."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from ingestion.domain.rules import Rule
from providers.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Due:
    """Hold one due time in UTC, the session it is counted from, and why it is odd, if it is."""

    at: datetime
    session: date | None
    note: str = ""


def next_due(
    rule: Rule,
    *,
    tz: str,
    sessions: Sessions | None,
    after: datetime,
    counted_from: datetime | None = None,
) -> Due | None:
    """Return the first due time strictly after a moment, or None where there is none any more."""
    raise NotImplementedError


def dues_between(
    rule: Rule,
    *,
    tz: str,
    sessions: Sessions | None,
    after: datetime,
    until: datetime,
    limit: int,
    counted_from: datetime | None = None,
) -> tuple[Due, ...]:
    """Return the due times in (after, until], ascending, at most `limit`."""
    raise NotImplementedError


def is_excluded(exclusions: Sequence[Any], due: Due, *, tz: str) -> bool:
    """Tell whether a due time lies on an excluded day: its session's, or else its date in tz."""
    raise NotImplementedError


def jittered(schedule_id: int, due: datetime, jitter: timedelta | None) -> datetime:
    """Return when a due time fires: the same moment within the jitter whenever it is asked."""
    if not jitter:
        return due
    digest = hashlib.blake2b(f"{schedule_id} {due.isoformat()}".encode(), digest_size=8).digest()
    return due + jitter * (int.from_bytes(digest) / 2**64)
