"""The writer stores what it is given once, and keeps what it supersedes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection, transaction

from ingestion.domain.windows import MINUTE_US, to_us
from ingestion.models import Bar
from ingestion.store.bars import InvalidBatch, MissingPartition, SeriesBars, write_bars
from ingestion.store.partitions import ensure_partitions
from providers.bars import Bars
from tests.store.stored_bars import (
    START,
    assert_equal,
    batch,
    counts,
    minutes,
    revisions,
    stored,
    stored_columns,
    write,
)

pytestmark = pytest.mark.django_db


def test_new_bars_are_stored_with_every_value():
    """All columns come back as given, with the attempt and a time at which they became known."""
    bars = minutes(5, close=np.array([9.1, 10.2, 10.3, -0.0, 1e-9]))
    assert write(batch(bars, attempt=77)) == [counts(inserted=5)]
    assert_equal(stored_columns(), bars)
    assert {row.attempt_id for row in stored()} == {77}
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now = cursor.fetchone()[0]
    assert all(now - timedelta(minutes=1) < row.known_from <= now for row in stored())


def test_absent_values_are_null():
    """NaN volume and vwap and trades of -1 mean "not known", which SQL says as NULL."""
    nan = np.nan
    bars = minutes(
        4, volume=[nan, 1, nan, 0], vwap=[2, nan, nan, 0], trades=np.array([-1, -1, 3, 0])
    )
    write(batch(bars))
    assert [(row.volume, row.vwap, row.trades) for row in stored()] == [
        (None, 2, None),
        (1, None, None),
        (None, None, 3),
        (0, 0, 0),
    ]
    assert write(batch(bars)) == [counts(unchanged=4)]


def test_every_mixture_of_absent_values_survives_large_batches():
    """Rows of different NULL patterns are sent in separate buffers and still land once each."""
    random = np.random.default_rng(3)
    n = 5000
    bars = minutes(
        n,
        volume=np.where(random.random(n) < 0.3, np.nan, random.integers(0, 9, n)),
        vwap=np.where(random.random(n) < 0.5, np.nan, random.random(n)),
        trades=np.where(random.random(n) < 0.5, -1, random.integers(0, 9, n)).astype(np.int32),
        final=random.random(n) < 0.99,
    )
    assert write(batch(bars)) == [counts(inserted=n)]
    assert_equal(stored_columns(), bars)
    assert write(batch(bars)) == [counts(unchanged=n)]


def test_equal_bars_leave_their_rows_alone():
    """A second attempt with the same bars changes neither the attempt nor known_from."""
    write(batch(minutes(3), attempt=1))
    before = stored()
    assert write(batch(minutes(3), attempt=2)) == [counts(unchanged=3)]
    assert [(row.attempt_id, row.known_from) for row in stored()] == [
        (1, row.known_from) for row in before
    ]
    assert revisions() == []


def test_a_changed_final_bar_keeps_its_old_version():
    """The superseded version ends exactly when the new one begins."""
    write(batch(minutes(3), attempt=1))
    old = stored()[1]
    corrected = minutes(
        3, close=np.array([10.5, 10.9, 10.5]), vwap=np.array([10.25, np.nan, 10.25])
    )
    assert write(batch(corrected, attempt=2)) == [counts(unchanged=2, revised=1)]
    [kept] = revisions()
    new = stored()[1]
    assert (new.close, new.vwap, new.attempt_id) == (10.9, None, 2)
    assert (kept.close, kept.vwap, kept.attempt_id) == (10.5, 10.25, 1)
    assert (kept.ts, kept.known_from, kept.known_to) == (old.ts, old.known_from, new.known_from)
    assert kept.known_from < kept.known_to


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume", "vwap", "trades"])
def test_a_change_in_any_column_is_a_revision(column: str):
    """No column is overlooked, and neither is the step between a value and its absence."""
    absent = -1 if column == "trades" else np.nan
    values = [5, 6] if column in ("open", "high", "low", "close") else [5, 6, absent, 4]
    for step, value in enumerate(values):
        [found] = write(batch(minutes(1, **{column: np.array([value])})))
        assert found == (counts(revised=1) if step else counts(inserted=1))
    assert len(revisions()) == len(values) - 1


def test_versions_never_step_back_in_time():
    """A clock that stands still or was set back cannot give a version an empty lifetime."""
    write(batch(minutes(1)))
    ahead = datetime(2090, 1, 1, tzinfo=UTC)
    Bar.objects.filter(series_id=1).update(known_from=ahead)
    write(batch(minutes(1, close=11)))
    [kept] = revisions()
    assert kept.known_to == stored()[0].known_from == ahead + timedelta(microseconds=1)


def test_a_forming_bar_is_replaced_without_a_revision():
    """Snapshots of a bar that is not over are no history; known_from follows the latest."""
    write(batch(minutes(1, final=[False]), attempt=1))
    first = stored()[0]
    later = minutes(1, close=10.9, final=[False])
    assert write(batch(later, attempt=2)) == [counts(unchanged=1)]
    second = stored()[0]
    assert (second.close, second.attempt_id, second.final) == (10.9, 2, False)
    assert second.known_from > first.known_from
    assert revisions() == []


@pytest.mark.parametrize("close", [10.5, 10.9])
def test_a_bar_that_becomes_final_is_known_from_then(close: float):
    """Becoming final resets known_from, whether the values moved or not, and is no revision."""
    write(batch(minutes(1, final=[False]), attempt=1))
    forming = stored()[0]
    assert write(batch(minutes(1, close=close), attempt=2)) == [counts(unchanged=1)]
    final = stored()[0]
    assert (final.final, final.close, final.attempt_id) == (True, close, 2)
    assert final.known_from > forming.known_from
    assert revisions() == []


def test_a_forming_bar_never_replaces_a_final_one():
    """A late snapshot from a delayed source must not undo what is settled."""
    write(batch(minutes(1), attempt=1))
    before = stored()[0]
    assert write(batch(minutes(1, close=10.9, final=[False]))) == [counts(unchanged=1)]
    after = stored()[0]
    assert (after.close, after.final, after.known_from) == (10.5, True, before.known_from)


def test_vanished_bars_stay_and_are_counted():
    """Final bars of the window that the provider no longer has are reported, not removed."""
    write(batch(minutes(6, final=[True] * 5 + [False])))
    kept = minutes(6).take(np.array([0, 2, 5]))
    assert write(batch(kept)) == [counts(unchanged=3, vanished=2 + 1)]
    assert len(stored()) == 6


def test_only_the_window_is_searched_for_vanished_bars():
    """What lies outside of the window says nothing about it."""
    write(batch(minutes(10)))
    inner = SeriesBars(1, 2, START + 3 * MINUTE_US, START + 5 * MINUTE_US, minutes(1, first=3))
    assert write(inner) == [counts(unchanged=1, vanished=1)]


def test_a_forming_bar_that_is_gone_has_not_vanished():
    """A forming bar was never promised."""
    write(batch(minutes(2, final=[True, False])))
    assert write(batch(minutes(1))) == [counts(unchanged=1)]


def test_an_empty_answer_counts_what_is_stored_as_vanished():
    """A window for which the provider has nothing is compared as well."""
    write(batch(minutes(2)))
    assert write(batch(Bars.empty())) == [counts(vanished=2)]


def test_nothing_to_write_needs_nothing():
    """No batches, no counts."""
    assert write() == []


def test_many_batches_are_counted_each_in_its_place():
    """Series and windows may come in any order; the counts follow the order given."""
    write(batch(minutes(4), series=8))
    late = SeriesBars(5, 3, START + 50 * MINUTE_US, START + 60 * MINUTE_US, minutes(3, first=52))
    early = SeriesBars(5, 4, START, START + 50 * MINUTE_US, minutes(2, first=48))
    found = write(
        batch(minutes(6, close=np.array([11] + [10.5] * 5)), series=8, attempt=2),
        late,
        batch(Bars.empty(), series=6),
        early,
        batch(minutes(1), series=-7),
    )
    assert found == [
        counts(inserted=2, unchanged=3, revised=1),
        counts(inserted=3),
        counts(),
        counts(inserted=2),
        counts(inserted=1),
    ]
    assert [row.attempt_id for row in stored(5)] == [4, 4, 3, 3, 3]
    assert [row.attempt_id for row in stored(8)] == [2, 1, 1, 1, 2, 2]


def test_rows_of_one_stamp_are_told_apart_by_their_sequence():
    """(ts, sequence) is the key, not the stamp alone."""
    ts = START + np.array([0, 0, 0, 1]) * MINUTE_US
    bars = minutes(4, ts=ts, sequence=[-1, 0, 5, 0])
    assert write(batch(bars)) == [counts(inserted=4)]
    assert write(batch(bars)) == [counts(unchanged=4)]
    changed = replace(bars, close=np.array([10.5, 10.5, 10.9, 10.5])).take(np.array([0, 2, 3]))
    assert write(batch(changed)) == [counts(unchanged=2, revised=1, vanished=1)]
    assert [(row.sequence, row.close) for row in stored()] == [
        (-1, 10.5),
        (0, 10.5),
        (5, 10.9),
        (0, 10.5),
    ]


def test_bars_of_all_ages_find_their_partition():
    """One batch may span decades; what is older than 1990 has one partition."""
    years = [1885, 1989, 1990, 2024, 2030]
    ts = np.array([to_us(datetime(year, 1, 1, tzinfo=UTC)) for year in years])
    whole = SeriesBars(1, 1, int(ts[0]), int(ts[-1]) + 1, minutes(5, ts=ts))
    assert write(whole) == [counts(inserted=5)]
    assert write(whole) == [counts(unchanged=5)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM bar ORDER BY ts")
        homes = [name for (name,) in cursor.fetchall()]
    assert homes == ["bar_before_1990", "bar_before_1990", "bar_y1990", "bar_y2024", "bar_y2030"]


def test_a_year_without_partition_is_refused_with_advice():
    """The error names the year, nothing is written, and the transaction goes on."""
    ts = np.array([to_us(datetime(year, 7, 1, tzinfo=UTC)) for year in (2029, 2101)])
    whole = SeriesBars(1, 1, int(ts[0]), int(ts[-1]) + 1, minutes(2, ts=ts))
    with pytest.raises(MissingPartition, match=r"2101.*ensure_partitions") as caught:
        write_bars(connection, [whole])
    assert 2101 in caught.value.years
    assert stored() == []
    ensure_partitions(connection, first_year=2101, last_year=2101)
    assert write_bars(connection, [whole]) == [counts(inserted=2)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (batch(minutes(3).take(np.array([0, 2, 1]))), "not sorted and unique"),
        (batch(minutes(3).take(np.array([0, 1, 1]))), "not sorted and unique"),
        (batch(minutes(3), until=2), "outside their window"),
        (batch(minutes(3, first=-1)), "outside their window"),
        (batch(Bars.empty(), until=0), "window that is empty"),
    ],
)
def test_a_batch_that_breaks_the_contract_is_refused(bad: SeriesBars, reason: str):
    """Validation comes before the writer; what slipped through is a defect, not data."""
    with pytest.raises(InvalidBatch, match=reason) as caught:
        write(batch(minutes(1), series=4), bad)
    assert caught.value.series_id == 1
    assert stored(4) == []


def test_of_overlapping_batches_the_later_one_has_the_last_word():
    """Two jobs may fetch the same bars at once; both are written, in the order given."""
    corrected = replace(minutes(3), close=np.array([10.6, 10.7, 10.8]))
    found = write(
        batch(minutes(6), attempt=1, until=8),
        batch(corrected, attempt=2, until=3),
        batch(minutes(1), series=2),
        batch(minutes(2), attempt=3, until=2),
        SeriesBars(1, 4, START + 8 * MINUTE_US, START + 9 * MINUTE_US, minutes(1, first=8)),
    )
    assert found == [
        counts(inserted=6),
        counts(revised=3),
        counts(inserted=1),
        counts(revised=2),
        counts(inserted=1),
    ]
    assert [row.close for row in stored()] == [10.5, 10.5, 10.8, 10.5, 10.5, 10.5, 10.5]
    assert [(row.close, row.attempt_id) for row in revisions()] == [
        (10.5, 1),
        (10.5, 1),
        (10.5, 1),
        (10.6, 2),
        (10.7, 2),
    ]


def test_a_transaction_is_required():
    """Without one the locks would be gone before the rows are written."""
    with (
        pytest.raises(transaction.TransactionManagementError, match="atomic"),
        _outside_of_transactions(),
    ):
        write_bars(connection, [batch(minutes(1))])


class _outside_of_transactions:
    """Hide the test's own transaction."""

    def __enter__(self) -> None:
        connection.in_atomic_block = False

    def __exit__(self, *_: object) -> None:
        connection.in_atomic_block = True
