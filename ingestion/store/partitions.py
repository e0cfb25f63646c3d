"""The yearly partitions of `bar`: made ahead of time, beside running writers."""

from __future__ import annotations

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

# One partition, made by the migration, holds everything older.
FIRST_YEAR = 1990

_LOCK_CLASS = 7304

_MISSING = """
SELECT year FROM generate_series(%s::int, %s::int) AS year
WHERE NOT EXISTS (
    SELECT FROM pg_inherits
    WHERE inhparent = 'bar'::regclass AND inhrelid = to_regclass('bar_y' || year))
ORDER BY year
"""


class MissingPartition(RuntimeError):
    """Signal bars of years that no partition holds; nothing of the call was written."""

    def __init__(self, *, years: list[int]) -> None:
        listed = ", ".join(map(str, years))
        super().__init__(
            f"no partition of table bar holds the year {listed}; call ensure_partitions"
            f"(first_year={years[0]}, last_year={years[-1]}) and write again, "
            "or check the stamps if that year is a surprise"
        )
        self.years = years


def partition_of(year: int) -> str:
    """Name the partition of a year, from FIRST_YEAR on."""
    return f"bar_y{year:d}"


def missing_years(connection: BaseDatabaseWrapper, *, first_year: int, last_year: int) -> list[int]:
    """Return the years of [first_year, last_year] that have no partition, in order.

    One look at the catalogue, well under a millisecond: cheap enough to ask each time rather
    than to remember an answer that a rollback may have undone.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MISSING, [max(first_year, FIRST_YEAR), last_year])
        return [year for (year,) in cursor.fetchall()]


def ensure_partitions(
    connection: BaseDatabaseWrapper, *, first_year: int, last_year: int
) -> list[int]:
    """Create what is missing of the partitions for [first_year, last_year]; return those years.

    Writers keep writing meanwhile: CREATE TABLE ... PARTITION OF would lock them out of the whole
    table, ATTACH PARTITION does not. Safe to call at once from several processes.
    """
    if not missing_years(connection, first_year=first_year, last_year=last_year):
        return []
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [_LOCK_CLASS])
        years = missing_years(connection, first_year=first_year, last_year=last_year)
        for year in years:
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {partition_of(year)} (LIKE bar INCLUDING ALL);"
                f"ALTER TABLE bar ATTACH PARTITION {partition_of(year)} FOR VALUES "
                f"FROM ('{year:04d}-01-01 00:00:00+00') TO ('{year + 1:04d}-01-01 00:00:00+00')"
            )
    return years
