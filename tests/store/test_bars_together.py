"""Writers of one series take turns, and a program that takes no lock cannot spoil a batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import psycopg
import pytest
from django.db import connection, connections, transaction
from pytest_django import DjangoDbBlocker

from ingestion.domain.windows import from_us
from ingestion.store.bars import WriteContended, lock_series, write_bars
from tests.store.stored_bars import (
    batch,
    clean_up_committed,
    counts,
    in_thread,
    minutes,
    revisions,
    stored,
    write,
)

_PATIENCE = 20.0


@pytest.fixture(autouse=True)
def _committing(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let these tests commit for real: two connections must see each other's rows."""
    with django_db_blocker.unblock(), clean_up_committed():
        yield
    connections.close_all()


@pytest.fixture
def stranger() -> Iterator[psycopg.Connection]:
    """Give a connection of a program that knows nothing of mdc's locks."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
        yield other


_STRANGERS_ROW = (
    "INSERT INTO bar (ts, known_from, attempt_id, open, high, low, close, series_id, sequence,"
    " final, trades, volume, vwap) SELECT ts, now(), 9, 10, 11, 9, %s, 1, 0, true, 7, 100, 10.25"
    " FROM unnest(%s::timestamptz[]) AS ts"
)


def _wait_until_someone_waits(kind: str) -> None:
    """Return once a session of this database waits for a lock of that kind."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = %s", [kind]
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    pytest.fail(f"nobody waits for {kind}")


def _start(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    report: list[object] = []
    thread = threading.Thread(target=in_thread(work, report=report))
    thread.start()
    return thread, report


def test_a_second_writer_of_a_series_sees_what_the_first_committed():
    """It waits for the first one's lock and then finds the rows: unchanged, not duplicate."""
    with transaction.atomic():
        write_bars(connection, [batch(minutes(5))])
        thread, report = _start(lambda: write(batch(minutes(6))))
        _wait_until_someone_waits("advisory")
    thread.join(_PATIENCE)
    assert report == [[counts(inserted=1, unchanged=5)]]


def test_writers_of_many_series_do_not_deadlock():
    """Locks are taken in one order, whatever the order of the batches."""
    ids = list(range(40))
    works = [
        lambda order=order: [
            write(*(batch(minutes(2), series=series) for series in order)) for _ in range(10)
        ]
        for order in (ids, ids[::-1])
    ]
    running = [_start(work) for work in works]
    for thread, _ in running:
        thread.join(_PATIENCE)
    assert all(isinstance(report[0], list) for _, report in running)
    assert all(len(stored(series)) == 2 for series in ids)


def test_rows_that_a_stranger_inserts_meanwhile_are_compared_like_others(
    stranger: psycopg.Connection,
):
    """The copy runs into a foreign row, is undone, and the batch is compared anew."""
    first, second, _ = _stamps(3)
    stranger.execute(_STRANGERS_ROW, [10.5, [first]])
    stranger.execute(_STRANGERS_ROW, [10.9, [second]])
    thread, report = _start(lambda: write(batch(minutes(3))))
    _wait_until_someone_waits("transactionid")
    stranger.commit()
    thread.join(_PATIENCE)
    assert report == [[counts(inserted=1, unchanged=1, revised=1)]]
    assert [row.close for row in stored()] == [10.5] * 3
    assert [row.close for row in revisions()] == [10.9]


def test_rows_of_a_stranger_who_gives_up_are_no_obstacle(stranger: psycopg.Connection):
    """An insert that is rolled back leaves room for ours."""
    stranger.execute(_STRANGERS_ROW, [10.9, _stamps(1)])
    thread, report = _start(lambda: write(batch(minutes(2))))
    _wait_until_someone_waits("transactionid")
    stranger.rollback()
    thread.join(_PATIENCE)
    assert report == [[counts(inserted=2)]]


def test_an_isolation_that_hides_rows_ends_in_an_error_with_advice(stranger: psycopg.Connection):
    """At REPEATABLE READ the foreign rows stay invisible; the writer says so and stops."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        stranger.execute(_STRANGERS_ROW, [10.9, _stamps(1)])
        stranger.commit()
        with pytest.raises(WriteContended, match="READ COMMITTED"):
            write_bars(connection, [batch(minutes(2))])
    assert len(stored()) == 1


def test_series_are_locked_until_the_transaction_ends():
    """lock_series alone holds off writers of those series, not of others."""
    with transaction.atomic():
        lock_series(connection, [1, 2, 1025])
        thread, report = _start(lambda: write(batch(minutes(1), series=3)))
        thread.join(_PATIENCE)
        assert report == [[counts(inserted=1)]]
        thread, report = _start(lambda: write(batch(minutes(1), series=2)))
        _wait_until_someone_waits("advisory")
        assert not report
    thread.join(_PATIENCE)
    assert report == [[counts(inserted=1)]]


def _stamps(count: int) -> list[datetime]:
    return [from_us(us) for us in minutes(count).ts.tolist()]
