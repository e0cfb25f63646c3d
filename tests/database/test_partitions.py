"""A bar lands in the partition of its year, in UTC, whatever the session's time zone."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from tests.protocol.scene import sql, value

pytestmark = pytest.mark.django_db

INSERT = (
    "INSERT INTO bar (ts, known_from, attempt_id, open, high, low, close, series_id, sequence,"
    " final) VALUES (%s, now(), 1, 1, 1, 1, 1, 1, 0, true) RETURNING tableoid::regclass::text"
)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize(
    ("stamp", "partition"),
    [
        ("1792-05-17 00:00Z", "bar_before_1990"),
        ("1989-12-31 23:59:59.999999Z", "bar_before_1990"),
        ("1990-01-01 00:00Z", "bar_y1990"),
        ("2023-12-31 23:59:59.999999Z", "bar_y2023"),
        ("2024-01-01 00:00Z", "bar_y2024"),
        ("2024-02-29 00:00Z", "bar_y2024"),
        ("2030-12-31 23:59Z", "bar_y2030"),
    ],
)
def test_a_bar_lands_in_its_year(zone: str, stamp: str, partition: str) -> None:
    """Years begin at midnight UTC; one partition holds all before 1990."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('TimeZone', %s, true)", [zone])
    assert value(INSERT, stamp) == partition


def test_a_year_without_a_partition_is_refused() -> None:
    """There is no default partition in which stray stamps could hide."""
    with pytest.raises(IntegrityError, match="no partition of relation"), transaction.atomic():
        sql(INSERT, "2999-01-01Z")


def test_a_query_over_a_year_reads_one_partition() -> None:
    """The planner drops the other partitions."""
    plan = sql(
        "EXPLAIN SELECT * FROM bar WHERE series_id = 1"
        " AND ts >= '2024-01-01Z' AND ts < '2025-01-01Z'"
    )
    text = "\n".join(line for (line,) in plan)
    assert "bar_y2024" in text
    assert "bar_y2023" not in text
