"""The only writer of `outbox`: what is still to be delivered, in the order of commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from ingestion.domain.windows import Window


@dataclass(frozen=True, slots=True)
class Committed:
    """Name the bars that one attempt brought; `rows` is how many, at most."""

    job_id: int
    series_id: int
    attempt_id: int
    window: Window
    rows: int


# Written under the locks of the series, so that within a series the order of ids is that of
# commits. A paused target collects as well: nothing that is committed may pass it by.
_ENQUEUE = """
INSERT INTO outbox (target_id, series_id, "window", attempt_id, rows)
SELECT t.id, g.series_id, tstzrange(g.starts, g.ends), g.attempt_id, g.rows
FROM unnest(%s::bigint[], %s::int[], %s::bigint[], %s::timestamptz[], %s::timestamptz[],
            %s::bigint[])
     WITH ORDINALITY AS g (job_id, series_id, attempt_id, starts, ends, rows, position)
JOIN job j ON j.id = g.job_id
JOIN series s ON s.id = g.series_id
JOIN instrument i ON i.id = s.instrument_id
JOIN target t ON (j.targets IS NULL OR t.name = ANY(j.targets))
             AND (t.providers IS NULL OR s.provider = ANY(t.providers))
             AND (t.symbols IS NULL OR i.symbol = ANY(t.symbols))
             AND (t.timeframes IS NULL OR s.timeframe = ANY(t.timeframes))
ORDER BY g.position, t.id
"""


def enqueue(committed: Sequence[Committed]) -> int:
    """Note for every target that matches what it is to be sent; return how many notes.

    Belongs in the transaction that stored the bars, after write_bars. Costs one look at an empty
    table where nobody has a target.
    """
    brought = [one for one in committed if one.rows]
    if not brought:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM target)")
        (wanted,) = cursor.fetchone()
        if not wanted:
            return 0
        cursor.execute(
            _ENQUEUE,
            [
                [one.job_id for one in brought],
                [one.series_id for one in brought],
                [one.attempt_id for one in brought],
                [one.window.start for one in brought],
                [one.window.end for one in brought],
                [one.rows for one in brought],
            ],
        )
        return int(cursor.rowcount)
