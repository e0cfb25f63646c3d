"""Find jobs that have not ended when they should have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from ingestion.domain.states import JobState
from providers.types import Timeframe


@dataclass(frozen=True, slots=True)
class Missed:
    """Hold an open job past its deadline, and what its definition asks for."""

    job_id: int
    deadline_at: datetime
    state: JobState
    definition: str | None
    symbols: tuple[str, ...]
    timeframe: Timeframe | None


# A job that somebody settles just now is left to the next round: it may be ending.
_MARK: Final = """
WITH missed AS (
    UPDATE job SET deadline_missed_at = %(now)s
    WHERE id IN (
        SELECT id FROM job
        WHERE deadline_missed_at IS NULL AND deadline_at <= %(now)s
          AND state IN ('queued', 'running', 'paused')
        ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING id, definition_id, deadline_at, state
)
SELECT m.id, m.deadline_at, m.state, d.name, d.symbols, d.timeframe
FROM missed m LEFT JOIN job_definition d ON d.id = m.definition_id ORDER BY m.id
"""


def mark_missed(*, now: datetime, limit: int) -> list[Missed]:
    """Mark open jobs whose deadline has passed, and return them; each is returned once."""
    with connection.cursor() as cursor:
        cursor.execute(_MARK, {"now": now, "limit": limit})
        return [_missed(*row) for row in cursor.fetchall()]


def _missed(
    job_id: int,
    deadline_at: datetime,
    state: str,
    definition: str | None,
    symbols: list[str] | None,
    timeframe: Any,
) -> Missed:
    return Missed(
        job_id=job_id,
        deadline_at=deadline_at,
        state=JobState(state),
        definition=definition,
        symbols=tuple(symbols or ()),
        timeframe=Timeframe(timeframe) if timeframe else None,
    )
