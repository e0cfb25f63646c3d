"""Partitions are made ahead, once, and beside running writers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
from django.db import connection, connections, transaction
from pytest_django import DjangoDbBlocker

from ingestion.domain.windows import MINUTE_US, to_us
from ingestion.store.bars import SeriesBars, write_bars
from ingestion.store.partitions import MissingPartition, ensure_partitions, missing_years
from providers.bars import Bars
from tests.store.stored_bars import (
    batch,
    clean_up_committed,
    counts,
    in_thread,
    minutes,
    stored_columns,
    write,
)


@pytest.mark.django_db
def test_missing_years_are_made_once():
    """The answer names what was created; asking again creates nothing."""
    assert missing_years(connection, first_year=2028, last_year=2101)[-2:] == [2100, 2101]
    made = ensure_partitions(connection, first_year=2099, last_year=2101)
    assert made == [2099, 2100, 2101]
    assert ensure_partitions(connection, first_year=2099, last_year=2101) == []


@pytest.mark.django_db
def test_years_before_the_first_partition_need_none():
    """One partition holds them all."""
    assert ensure_partitions(connection, first_year=1700, last_year=1995) == []


@pytest.mark.django_db
def test_a_detached_year_is_attached_again():
    """A partition that someone detached is missing, though its table is there."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE bar DETACH PARTITION bar_y1999")
    assert ensure_partitions(connection, first_year=1990, last_year=2020) == [1999]


@pytest.mark.django_db
def test_a_new_partition_has_the_key():
    """Duplicates are refused in new years as in old ones."""
    ensure_partitions(connection, first_year=2101, last_year=2101)
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'bar_y2101'")
        [(definition,)] = cursor.fetchall()
    assert "UNIQUE" in definition
    assert "(series_id, ts, sequence)" in definition


def _two_years() -> tuple[Bars, SeriesBars]:
    """Give 12,000 bars on both sides of a new year: enough to go straight into partitions."""
    turn = to_us(datetime(2024, 1, 1, tzinfo=UTC))
    bars = minutes(12_000, ts=turn + (np.arange(12_000) - 6_000) * MINUTE_US)
    window = SeriesBars(
        series_id=1,
        attempt_id=1,
        window_start_us=int(bars.ts[0]),
        window_end_us=int(bars.ts[-1]) + MINUTE_US,
        bars=bars,
    )
    return bars, window


@pytest.mark.django_db
def test_a_large_batch_over_a_new_year_lands_whole_in_both_partitions():
    """Each bar stands once, in the partition of its year, and writing again changes nothing."""
    bars, window = _two_years()
    assert write(window) == [counts(inserted=12_000)]
    assert np.array_equal(stored_columns().ts, bars.ts)
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text, count(*) FROM bar GROUP BY 1 ORDER BY 1")
        assert cursor.fetchall() == [("bar_y2023", 6_000), ("bar_y2024", 6_000)]
    assert write(window) == [counts(unchanged=12_000)]


@pytest.mark.django_db
def test_a_large_batch_never_goes_into_a_detached_partition():
    """Rows in a table that `bar` does not show would be lost: the year is refused by name."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE bar DETACH PARTITION bar_y2024")
    with pytest.raises(MissingPartition, match="2024"):
        write(_two_years()[1])
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM bar_y2024")
        assert cursor.fetchone() == (0,)


@pytest.fixture
def committing(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let a test commit for real, and take back what it made."""
    with django_db_blocker.unblock(), clean_up_committed():
        yield
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS bar_y2102")
    connections.close_all()


@pytest.mark.usefixtures("committing")
def test_making_a_partition_waits_for_no_writer_and_no_writer_waits_for_it():
    """While one transaction has written and another has attached, a third one writes."""
    report: list[object] = []
    with transaction.atomic():
        assert write_bars(connection, [batch(minutes(2))]) == [counts(inserted=2)]

        def attach_and_write_elsewhere() -> object:
            with transaction.atomic():
                made = ensure_partitions(connection, first_year=2102, last_year=2102)
                other: list[object] = []
                third = threading.Thread(
                    target=in_thread(lambda: write(batch(minutes(2), series=2)), report=other)
                )
                third.start()
                third.join(20)
                return made, other

        second = threading.Thread(target=in_thread(attach_and_write_elsewhere, report=report))
        second.start()
        second.join(20)
        assert report == [([2102], [[counts(inserted=2)]])]


@pytest.mark.usefixtures("committing")
def test_several_processes_may_ask_at_once():
    """One of them makes the partition, the others find it made."""
    reports: list[object] = []
    threads = [
        threading.Thread(
            target=in_thread(
                lambda: ensure_partitions(connection, first_year=2102, last_year=2102),
                report=reports,
            )
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(map(str, reports)) == ["[2102]", "[]", "[]", "[]"]
