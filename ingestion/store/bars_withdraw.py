"""Take bars out of the table that a person no longer wants there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from django.db.backends.base.base import BaseDatabaseWrapper

from ingestion.domain.windows import from_us
from ingestion.store.bars import COLUMNS, lock_series
from ingestion.store.copyformat import TIMESTAMPTZ, encode_array, wire_cursor

_WITHDRAW: Final = f"""
WITH gone AS (
    DELETE FROM bar b
    WHERE b.series_id = %(series)s AND b.ts = ANY(%(stamps)s::timestamptz[])
      AND b.ts BETWEEN %(first)s AND %(last)s
    RETURNING {", ".join(f"b.{name}" for name in COLUMNS)}
)
INSERT INTO bar_revision ({", ".join(COLUMNS)}, known_to)
SELECT {", ".join(COLUMNS)}, greatest(%(known_to)s, known_from + interval '1 microsecond')
FROM gone
"""


def withdraw_bars(connection: BaseDatabaseWrapper, series_id: int, stamps: Sequence[int]) -> int:
    """Take bars out of the table, in the caller's transaction; return how many there were.

    They stay readable as of any earlier moment: each goes to `bar_revision`, known until now.
    """
    known_to = lock_series(connection, [series_id])
    with connection.wrap_database_errors, wire_cursor(connection.connection) as cursor:
        cursor.execute(
            _WITHDRAW,
            {
                "series": series_id,
                "stamps": encode_array(TIMESTAMPTZ, np.array(sorted(stamps), np.int64)),
                "first": from_us(min(stamps)),
                "last": from_us(max(stamps)),
                "known_to": known_to,
            },
        )
        return int(cursor.rowcount)
