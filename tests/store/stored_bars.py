"""Make bars for the writer's tests and read back what it stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from django.db import connection, transaction

from ingestion.domain.windows import MINUTE_US, to_us
from ingestion.models import Bar, BarRevision
from ingestion.store.bars import SeriesBars, WriteCounts, write_bars
from providers.bars import Bars

START = 1_700_000_000_000_000 // MINUTE_US * MINUTE_US  # in November 2023
VALUES = ("open", "high", "low", "close", "volume", "vwap", "trades", "final")


def minutes(count: int, *, first: int = 0, close: float = 10.5, **columns: Any) -> Bars:
    """Make one bar a minute from START + first; given columns override the usual values."""
    ts = START + (first + np.arange(count)) * MINUTE_US
    usual = {
        "open": np.full(count, 10.0),
        "high": np.full(count, 11.0),
        "low": np.full(count, 9.0),
        "close": np.full(count, close),
        "volume": np.full(count, 100.0),
        "vwap": np.full(count, 10.25),
        "trades": np.full(count, 7),
    }
    return Bars.build(**{"ts": ts, **usual, **columns})


def batch(bars: Bars, *, series: int = 1, attempt: int = 1, until: int = 10_000) -> SeriesBars:
    """Wrap bars as one attempt's knowledge of [START, START + until minutes)."""
    return SeriesBars(
        series_id=series,
        attempt_id=attempt,
        window_start_us=START,
        window_end_us=START + until * MINUTE_US,
        bars=bars,
    )


def write(*batches: SeriesBars) -> list[WriteCounts]:
    """Write in a transaction of its own (a savepoint where the test holds one)."""
    with transaction.atomic():
        return write_bars(connection, batches)


def counts(
    *, inserted: int = 0, unchanged: int = 0, revised: int = 0, vanished: int = 0
) -> WriteCounts:
    """Write down expected counts; what is not named is none."""
    return WriteCounts(inserted, unchanged, revised, vanished)


def stored(series: int = 1) -> list[Bar]:
    """Return the stored bars of a series in order."""
    return list(Bar.objects.filter(series_id=series).order_by("ts", "sequence"))


def revisions(series: int = 1) -> list[BarRevision]:
    """Return the superseded versions of a series, oldest first."""
    return list(BarRevision.objects.filter(series_id=series).order_by("known_to", "ts"))


def stored_columns(series: int = 1) -> Bars:
    """Return the stored bars of a series as columns, NULL as the absent value."""
    rows = stored(series)

    def column(name: str, absent: float) -> list[Any]:
        values = [getattr(row, name) for row in rows]
        return [absent if value is None else value for value in values]

    return Bars.build(
        ts=np.array([to_us(row.ts) for row in rows], np.int64),
        sequence=column("sequence", 0),
        **{name: column(name, -1 if name == "trades" else np.nan) for name in VALUES},
    )


def assert_equal(left: Bars, right: Bars) -> None:
    """Compare all columns; absent values are equal."""
    for name in Bars.__slots__:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


@contextmanager
def clean_up_committed() -> Iterator[None]:
    """Remove what a test committed to the bar tables."""
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM bar; DELETE FROM bar_revision")


def in_thread(work: Callable[[], object], *, report: list[object]) -> Callable[[], None]:
    """Wrap work for a thread: keeps its result or its error, closes its connection."""

    def run() -> None:
        try:
            report.append(work())
        except Exception as error:  # noqa: BLE001 - handed to the test's own thread
            report.append(error)
        finally:
            connection.close()

    return run
