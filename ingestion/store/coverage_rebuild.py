"""Read which sessions have bars, and put coverage in line with them, under the series' lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import Window, from_us, to_us
from ingestion.store import absences
from ingestion.store.coverage import have_traded
from ingestion.store.ranges import multirange_text, to_ranges

_SESSIONS_PER_QUERY = 5000

_BOUNDS = "SELECT min(ts), max(ts) FROM bar WHERE series_id = %s AND final"
_BEFORE = """
SELECT loaded, (SELECT count(*) FROM missing_session m WHERE m.series_id = c.series_id)
FROM coverage c WHERE series_id = %s
"""
_REPLACE = """
INSERT INTO coverage (series_id, loaded, doubted, first_ts, updated_at)
VALUES (%s, %s::tstzmultirange, '{}', %s, clock_timestamp())
ON CONFLICT (series_id) DO UPDATE
SET loaded = excluded.loaded, doubted = '{}', first_ts = excluded.first_ts,
    updated_at = excluded.updated_at
"""
_MISSING = "SELECT count(*) FROM missing_session WHERE series_id = %s"


@dataclass(frozen=True, slots=True)
class CoverageState:
    """Hold what coverage says of a series, and how many sessions it knows to be missing."""

    loaded: Ranges
    missing: int


def bar_bounds(series_id: int) -> tuple[int, int] | None:
    """Return the first and last stamp of final bars, or None where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(_BOUNDS, [series_id])
        first, last = cursor.fetchone()
    return None if first is None else (to_us(first), to_us(last))


def sessions_have_bars(series_id: int, sessions: Sequence[Window]) -> list[bool]:
    """Tell of each session whether a final bar is stored in it."""
    found: list[bool] = []
    for at in range(0, len(sessions), _SESSIONS_PER_QUERY):
        chunk = sessions[at : at + _SESSIONS_PER_QUERY]
        found += have_traded([(series_id, window) for window in chunk])
    return found


def replace_coverage(series_id: int, loaded: Ranges, *, first_us: int | None) -> None:
    """Write what is loaded; what bars disprove is forgotten, other proofs and misses stay."""
    with connection.cursor() as cursor:
        cursor.execute(
            _REPLACE,
            [
                series_id,
                multirange_text(loaded),
                None if first_us is None else from_us(first_us),
            ],
        )
    absences.disprove_absences({series_id: loaded})
    # Not listed until a bar that is stored by now: that is disproved as well.
    absences.prove_not_listed([], series_ids=[series_id])


def read_state(series_id: int) -> CoverageState:
    """Read what coverage says now."""
    with connection.cursor() as cursor:
        cursor.execute(_BEFORE, [series_id])
        row = cursor.fetchone()
        if row is None:
            cursor.execute(_MISSING, [series_id])
            return CoverageState(Ranges.empty(), cursor.fetchone()[0])
    return CoverageState(to_ranges(row[0]), row[1])
