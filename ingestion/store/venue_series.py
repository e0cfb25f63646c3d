"""Find the series whose sessions a venue's calendar sets."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from providers.types import Anchor, Hours, Timeframe

_BY_SHAPE = """
SELECT s.timeframe, s.hours, s.anchor, array_agg(s.id ORDER BY s.id)
FROM series s JOIN instrument i ON i.id = s.instrument_id
WHERE i.venue = %s AND s.event_type = 'bar'
GROUP BY s.timeframe, s.hours, s.anchor
"""

_IN_USE = """
SELECT venue FROM (
    SELECT DISTINCT i.venue FROM instrument i
    WHERE EXISTS (SELECT FROM series s WHERE s.instrument_id = i.id)
    UNION SELECT venue FROM schedule WHERE venue <> ''
    UNION SELECT venue FROM job_definition WHERE venue <> '') used
ORDER BY venue COLLATE "C"
"""


@dataclass(frozen=True, slots=True)
class ShapedSeries:
    """Hold the series of one venue that are judged alike."""

    timeframe: Timeframe
    hours: Hours
    anchor: Anchor
    series_ids: tuple[int, ...]


def series_of_venue(venue: str) -> list[ShapedSeries]:
    """Return the series of a venue's instruments, by what they are judged by."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_SHAPE, [venue])
        return [
            ShapedSeries(Timeframe(timeframe), Hours(hours), Anchor(anchor), tuple(ids))
            for timeframe, hours, anchor, ids in cursor.fetchall()
        ]


def venues_in_use() -> list[str]:
    """List the venues of stored series, of schedules and of definitions."""
    with connection.cursor() as cursor:
        cursor.execute(_IN_USE)
        return [venue for (venue,) in cursor.fetchall()]
