"""Explain sessions whose last bars a person had deleted: not loaded any more, and no gap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db import connection

from ingestion.domain.windows import Window
from ingestion.store.absences import NO_TRADE_GOOD_FOR

_EXPLAIN: Final = """
WITH emptied AS MATERIALIZED (
    SELECT range_agg(tstzrange(g.starts, g.ends)) AS ranges
    FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS g(starts, ends)
    WHERE NOT EXISTS (SELECT 1 FROM bar b WHERE b.series_id = %(series)s
                      AND b.ts >= g.starts AND b.ts < g.ends)
), unloaded AS (
    UPDATE coverage SET loaded = loaded - e.ranges, doubted = doubted - e.ranges
    FROM emptied e WHERE series_id = %(series)s AND e.ranges IS NOT NULL
)
INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)
SELECT %(series)s, unnest(ranges), 'no_trade', %(attempt)s, clock_timestamp(),
       clock_timestamp() + make_interval(secs => %(seconds)s)
FROM emptied
"""


def explain_emptied(series_id: int, sessions: Sequence[Window], *, attempt_id: int) -> None:
    """Prove empty those sessions that hold no bar now, by the attempt that did not get any.

    Runs in the transaction that deleted the bars, under the series' advisory lock.
    """
    if not sessions:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _EXPLAIN,
            {
                "series": series_id,
                "starts": [session.start for session in sessions],
                "ends": [session.end for session in sessions],
                "attempt": attempt_id,
                "seconds": NO_TRADE_GOOD_FOR.total_seconds(),
            },
        )
