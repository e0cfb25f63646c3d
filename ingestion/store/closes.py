"""Read the closes before given moments, to which dividends are related."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import psycopg

from ingestion.domain.adjusting import Stamps
from ingestion.domain.windows import from_us, to_us
from providers.bars import FloatColumn

# The table of bars as it stands, or as it was known at a time; only final bars count.
_CLOSES_BEFORE = """
SELECT last.ts, last.close
FROM unnest(%(moments)s::timestamptz[]) WITH ORDINALITY AS g(moment, n)
LEFT JOIN LATERAL (
    SELECT b.ts, b.close FROM bar b
    WHERE b.series_id = %(series)s AND b.ts < g.moment AND b.final
    ORDER BY b.ts DESC, b.sequence DESC LIMIT 1
) last ON true
ORDER BY g.n
"""
_CLOSES_BEFORE_AS_OF = """
SELECT last.ts, last.close
FROM unnest(%(moments)s::timestamptz[]) WITH ORDINALITY AS g(moment, n)
LEFT JOIN LATERAL (
    (SELECT b.ts, b.sequence, b.close FROM bar b
     WHERE b.series_id = %(series)s AND b.ts < g.moment AND b.final
       AND b.known_from <= %(as_of)s
     ORDER BY b.ts DESC, b.sequence DESC LIMIT 1)
    UNION ALL
    (SELECT r.ts, r.sequence, r.close FROM bar_revision r
     WHERE r.series_id = %(series)s AND r.ts < g.moment AND r.final
       AND r.known_from <= %(as_of)s AND r.known_to > %(as_of)s
     ORDER BY r.ts DESC, r.sequence DESC LIMIT 1)
    ORDER BY 1 DESC, 2 DESC LIMIT 1
) last ON true
ORDER BY g.n
"""


def closes_before(
    connection: psycopg.Connection[Any],
    series_id: int,
    *,
    moments_us: Stamps,
    as_of: datetime | None = None,
) -> tuple[Stamps, FloatColumn]:
    """Return, per moment in µs, stamp and close of the last final bar before it.

    Where there is none the close is NaN and the stamp the moment itself.
    """
    stamps, closes = moments_us.copy(), np.full(len(moments_us), np.nan)
    values = {
        "series": series_id,
        "moments": [from_us(us) for us in moments_us.tolist()],
        "as_of": as_of,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLOSES_BEFORE if as_of is None else _CLOSES_BEFORE_AS_OF, values)
        for row, (stamp, close) in enumerate(cursor):
            if stamp is not None:
                stamps[row], closes[row] = to_us(stamp), close
    return stamps, closes
