"""Reading columns gives back what was written, in order, as it is or as it was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from ingestion.domain.windows import MINUTE_US, from_us
from ingestion.store.bar_reads import PRICES, read_bars, read_chunks, snapshot
from ingestion.store.clock import database_now
from providers.bars import Bars
from tests.store.stored_bars import START, assert_equal, batch, clean_up_committed, minutes, write

EVERYTHING: dict[str, datetime | None] = {"start": None, "end": None}


def plain() -> psycopg.Connection[Any]:
    """Return psycopg's own connection, which is all that reading needs."""
    connection.ensure_connection()
    raw = connection.connection
    assert isinstance(raw, psycopg.Connection)
    return raw


def odd_bars() -> Bars:
    """Make bars over a year's end that need all digits, lack values, repeat stamps, and form."""
    ts = START + np.arange(2_000) * 60 * MINUTE_US
    random = np.random.default_rng(1)
    low = random.random(2_000) / 3
    return Bars.build(
        ts=np.repeat(ts, 2)[:3_000],
        sequence=np.tile([0, 1], 1_500),
        open=np.repeat(low + 0.1, 2)[:3_000],
        high=np.repeat(low + 1 / 3, 2)[:3_000],
        low=np.repeat(low, 2)[:3_000],
        close=np.repeat(low + 1e-17, 2)[:3_000],
        volume=np.where(np.arange(3_000) % 3, np.nan, 1e15 / 3),
        vwap=np.where(np.arange(3_000) % 5, 0.1 + 0.2, np.nan),
        trades=np.where(np.arange(3_000) % 2, -1, 2**31 - 1),
        final=np.arange(3_000) % 7 > 0,
    )


def write_odd(series: int = 1) -> Bars:
    bars = odd_bars()
    write(batch(bars, series=series, until=200_000))
    return bars


@pytest.mark.django_db
def test_chunks_join_to_exactly_what_was_written() -> None:
    """Every column of every row, bit for bit, whatever the chunk's borders cut in two."""
    bars = write_odd()
    write_odd(series=2)
    for rows in (7, 1_000, 3_000, 10_000):
        chunks = list(read_chunks(plain(), 1, **EVERYTHING, rows=rows))
        assert max(len(chunk) for chunk in chunks) <= rows
        assert_equal(Bars.concat(chunks), bars)


@pytest.fixture
def committing(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let a test commit for another connection to see."""
    with django_db_blocker.unblock(), clean_up_committed():
        yield
    connection.close()


def test_a_snapshot_does_not_see_what_is_committed_meanwhile(committing: None) -> None:
    """One connection reads one state, as often as it likes, and writes nothing."""
    settings = connection.settings_dict
    address = {"host": settings["HOST"], "dbname": settings["NAME"], "user": settings["USER"]}
    with psycopg.connect(**address, autocommit=True, prepare_threshold=0) as other:
        for count in range(3):
            with snapshot(other):
                assert len(read_bars(other, 1, **EVERYTHING)) == count
                write(batch(minutes(1, first=count), until=count + 1))
                assert len(read_bars(other, 1, **EVERYTHING)) == count
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), snapshot(other):
            other.execute("DELETE FROM bar")


@pytest.mark.django_db
def test_a_window_is_half_open_and_columns_can_be_left_out() -> None:
    """The start belongs to the window, the end does not; what nobody asked for is absent."""
    bars = write_odd()
    first, last = from_us(bars.ts[10]), from_us(bars.ts[20])
    read = read_bars(plain(), 1, start=first, end=last, columns=PRICES)
    np.testing.assert_array_equal(read.ts, bars.ts[10:20])
    np.testing.assert_array_equal(read.close, bars.close[10:20])
    assert np.isnan(read.volume).all()
    assert (read.trades == -1).all()
    assert not len(read_bars(plain(), 1, start=last, end=last))
    assert list(read_chunks(plain(), 99, **EVERYTHING)) == []


@pytest.mark.django_db
def test_bars_are_read_as_they_were_known() -> None:
    """A revision, the version before it, a bar not yet known, and a forming bar."""
    write(batch(minutes(3)))
    one = database_now()
    write(batch(minutes(3, close=10.6)))
    two = database_now()
    write(batch(minutes(2, first=3, final=[True, False])))
    three = database_now()

    def known(at: datetime, **window: Any) -> Bars:
        return read_bars(plain(), 1, **{**EVERYTHING, **window}, as_of=at)

    assert not len(known(one - timedelta(days=1)))
    np.testing.assert_array_equal(known(one).close, [10.5] * 3)
    np.testing.assert_array_equal(known(two).close, [10.6] * 3)
    np.testing.assert_array_equal(known(three).close, [10.6] * 3 + [10.5])
    np.testing.assert_array_equal(
        known(one, start=from_us(START + MINUTE_US)).ts, START + MINUTE_US * np.array([1, 2])
    )
    joined = list(read_chunks(plain(), 1, **EVERYTHING, as_of=one, rows=2))
    assert_equal(Bars.concat(joined), minutes(3))
