"""Advance checkpoints over the contiguous prefix of done slices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import connection

from ingestion.domain.windows import Window


def advance(pairs: Iterable[tuple[int, int]]) -> None:
    """Recompute the checkpoint of each (job, series); it never passes a slice that is not done."""
    ordered = sorted(set(pairs))
    if not ordered:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO checkpoint AS c (job_id, series_id, frontier, ts, sequence, updated_at)
            SELECT p.job_id, p.series_id, f.frontier, l.ts, 0, clock_timestamp()
            FROM unnest(%s::bigint[], %s::int[]) AS p(job_id, series_id)
            CROSS JOIN LATERAL (
                SELECT coalesce(
                    (SELECT coalesce(s.resume_from, lower(s."window")) FROM slice s
                     WHERE s.job_id = p.job_id AND s.series_id = p.series_id AND s.state <> 'done'
                     ORDER BY lower(s."window") LIMIT 1),
                    (SELECT upper(s."window") FROM slice s
                     WHERE s.job_id = p.job_id AND s.series_id = p.series_id
                     ORDER BY lower(s."window") DESC LIMIT 1)) AS frontier
            ) f
            LEFT JOIN LATERAL (
                -- Slices of a series are disjoint: the last one with rows holds the last record.
                SELECT s.last_ts AS ts FROM slice s
                WHERE s.job_id = p.job_id AND s.series_id = p.series_id
                  AND lower(s."window") < f.frontier AND s.last_ts IS NOT NULL
                ORDER BY lower(s."window") DESC LIMIT 1
            ) l ON true
            ORDER BY p.job_id, p.series_id
            ON CONFLICT (job_id, series_id) DO UPDATE
            SET frontier = greatest(c.frontier, excluded.frontier),
                ts = greatest(c.ts, excluded.ts), updated_at = excluded.updated_at
            """,
            [[job_id for job_id, _ in ordered], [series_id for _, series_id in ordered]],
        )


def close(job_id: int, asked: Mapping[int, Window]) -> None:
    """Let the checkpoints of a completed job state all that it asked of each series.

    What other jobs had covered has no slice here. A series with a slice that is not done keeps its
    checkpoint.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO checkpoint AS c (job_id, series_id, frontier, ts, sequence, updated_at)
            SELECT %s, g.series_id, g.ends,
                   (SELECT b.ts FROM bar b
                    WHERE b.series_id = g.series_id AND b.ts >= g.starts AND b.ts < g.ends
                    ORDER BY b.ts DESC LIMIT 1),
                   0, clock_timestamp()
            FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[])
                 AS g(series_id, starts, ends)
            LEFT JOIN checkpoint k ON k.job_id = %s AND k.series_id = g.series_id
            WHERE coalesce(k.frontier < g.ends, true)
              AND NOT EXISTS (SELECT 1 FROM slice s WHERE s.job_id = %s
                                AND s.series_id = g.series_id AND s.state <> 'done')
            ORDER BY g.series_id
            ON CONFLICT (job_id, series_id) DO UPDATE
            SET frontier = greatest(c.frontier, excluded.frontier),
                ts = greatest(c.ts, excluded.ts), updated_at = excluded.updated_at
            """,
            [
                job_id,
                list(asked),
                [window.start for window in asked.values()],
                [window.end for window in asked.values()],
                job_id,
                job_id,
            ],
        )
