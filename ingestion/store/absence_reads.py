"""Read why windows are without bars: proofs that hold, and looks that found nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from ingestion.domain.windows import Window

ABSENCES_LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True)
class AbsenceRow:
    """Hold one window without bars and what shows it.

    `reason` is that of an empty proof, which holds until `expires_at`; or `missing`, looked for in
    vain `looks` times; or `refused`, of which rows came that could not be stored. `attempt_id` is
    the newest attempt that showed it, of job `job_id`; both None where the provider itself
    declares how far its history reaches.
    """

    series_id: int
    start: datetime
    end: datetime
    reason: str
    looks: int | None
    attempt_id: int | None
    job_id: int | None
    seen_at: datetime
    expires_at: datetime | None

    @property
    def explains(self) -> bool:
        """Tell whether it settles its window, so that nobody asks for it again for now."""
        return self.expires_at is not None


_ABSENCES = """
SELECT a.series_id, lower(a."window"), upper(a."window"), a.reason, a.looks,
       nullif(a.attempt_id, 0), t.job_id, a.seen_at, a.expires_at
FROM (
    SELECT p.series_id, p."window", p.reason, NULL::int AS looks, p.attempt_id,
           p.proven_at AS seen_at, p.expires_at
    FROM empty_proof p WHERE p.series_id = ANY(%(ids)s) AND p.expires_at > %(now)s
    UNION ALL
    SELECT m.series_id, m."window", CASE m.looks WHEN 0 THEN 'refused' ELSE 'missing' END,
           m.looks, m.attempt_id, m.seen_at, NULL
    FROM missing_session m WHERE m.series_id = ANY(%(ids)s)
) a
JOIN unnest(%(ids)s::int[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
     AS g(series_id, starts, ends)
  ON g.series_id = a.series_id AND a."window" && tstzrange(g.starts, g.ends)
LEFT JOIN attempt t ON t.id = a.attempt_id
ORDER BY a.series_id, a."window" LIMIT %(limit)s
"""


def read_absences(
    windows: Mapping[int, Window], *, now: datetime
) -> dict[int, tuple[AbsenceRow, ...]]:
    """Read what is known to be without bars, by series and in order; at most ABSENCES_LIMIT."""
    with connection.cursor() as cursor:
        cursor.execute(
            _ABSENCES,
            {
                "ids": list(windows),
                "starts": [window.start for window in windows.values()],
                "ends": [window.end for window in windows.values()],
                "now": now,
                "limit": ABSENCES_LIMIT,
            },
        )
        found: dict[int, list[AbsenceRow]] = {}
        for row in cursor.fetchall():
            found.setdefault(row[0], []).append(AbsenceRow(*row))
    return {series_id: tuple(rows) for series_id, rows in found.items()}
