"""Draw numbers ahead of the rows that will have them."""

from __future__ import annotations

from django.db import connection


def draw_ids(table: str, count: int) -> list[int]:
    """Draw ids of a table, so that rows written together can refer to each other."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
            [table, count],
        )
        return [number for (number,) in cursor.fetchall()]
