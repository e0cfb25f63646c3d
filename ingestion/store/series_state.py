"""Read where series stand, for all of a list at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection


@dataclass(frozen=True, slots=True)
class StoredBars:
    """Hold where the stored bars of one series begin and end, and their number, if counted."""

    bars: int | None = None
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class LastTry:
    """Hold how the newest attempt at one series ended."""

    at: datetime | None = None
    outcome: str = ""
    error: str = ""


# The two ends come from the key; counting reads every row of it.
_BOUNDS = """
SELECT g.id, NULL::bigint, f.ts, l.ts
FROM unnest(%s::int[]) AS g(id)
CROSS JOIN LATERAL (SELECT ts FROM bar WHERE series_id = g.id ORDER BY ts LIMIT 1) f
CROSS JOIN LATERAL (SELECT ts FROM bar WHERE series_id = g.id ORDER BY ts DESC LIMIT 1) l
"""
_COUNTS = """
SELECT series_id, count(*), min(ts), max(ts) FROM bar WHERE series_id = ANY(%s) GROUP BY series_id
"""


def summarize_bars(series_ids: Sequence[int], *, counted: bool) -> dict[int, StoredBars]:
    """Say where the bars of each series begin and end; those without any are absent."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS if counted else _BOUNDS, [list(series_ids)])
        return {row[0]: StoredBars(*row[1:]) for row in cursor.fetchall()}


def last_tries(series_ids: Sequence[int]) -> dict[int, LastTry]:
    """Return the newest attempt at each series; those never tried are absent."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT g.id, a.* FROM unnest(%s::int[]) AS g(id) CROSS JOIN LATERAL ("
            "   SELECT ended_at, outcome, coalesce(detail->>'error', error_class) FROM attempt"
            "   WHERE series_id = g.id ORDER BY id DESC LIMIT 1) a",
            [list(series_ids)],
        )
        return {row[0]: LastTry(*row[1:]) for row in cursor.fetchall()}


def count_missing(series_ids: Sequence[int]) -> dict[int, int]:
    """Count the missing sessions of each series; those without any are absent."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT series_id, count(*) FROM missing_session WHERE series_id = ANY(%s)"
            " GROUP BY series_id",
            [list(series_ids)],
        )
        return dict(cursor.fetchall())


def open_jobs(series_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """List the jobs at each series that have not ended; series without any are absent."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (e->>'series_id')::int AS series_id, array_agg(DISTINCT j.id ORDER BY j.id)"
            " FROM job j CROSS JOIN LATERAL jsonb_array_elements(j.spec->'series') e"
            " WHERE j.state IN ('draft', 'queued', 'running', 'paused')"
            "   AND (e->>'series_id')::int = ANY(%s) GROUP BY 1",
            [list(series_ids)],
        )
        return {series_id: tuple(ids) for series_id, ids in cursor.fetchall()}
