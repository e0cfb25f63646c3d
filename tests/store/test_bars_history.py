"""Whatever is written in whatever order, the tables hold the truth and its whole history."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.domain.windows import MINUTE_US, to_us
from ingestion.models import Bar
from ingestion.store.bars import SeriesBars, WriteCounts
from providers.bars import Bars
from tests.store.stored_bars import START, minutes, revisions, stored, write

Version = tuple[float, float | None, int | None]
Known = dict[int, tuple[Version, bool]]

_versions = st.tuples(
    st.sampled_from([9.5, 10.0, 10.5]),
    st.sampled_from([None, 0.0, 5.0]),
    st.sampled_from([None, 3]),
)
_payloads = st.dictionaries(st.integers(0, 11), st.tuples(_versions, st.booleans()), max_size=8)
_writes = st.lists(st.tuples(st.integers(0, 6), st.integers(7, 12), _payloads), max_size=8)


@dataclass
class Model:
    """Say in plain Python what the tables must hold after each write."""

    now: Known = field(default_factory=dict)
    superseded: list[tuple[int, Version]] = field(default_factory=list)

    def write(self, payload: Known, *, first: int, last: int) -> WriteCounts:
        """Take in one window's payload."""
        inserted = unchanged = revised = 0
        for minute, (version, final) in payload.items():
            known = self.now.get(minute)
            if known is None:
                inserted += 1
            elif known[1] and final and known[0] != version:
                revised += 1
                self.superseded.append((minute, known[0]))
            else:
                unchanged += 1
            if known is None or final or not known[1]:
                self.now[minute] = (version, final)
        gone = [m for m, (_, final) in self.now.items() if final and first <= m < last]
        return WriteCounts(
            inserted=inserted,
            unchanged=unchanged,
            revised=revised,
            vanished=len(set(gone) - set(payload)),
        )


def _batch(payload: Known, *, first: int, last: int) -> SeriesBars:
    rows = sorted(payload.items())
    bars = minutes(
        len(rows),
        ts=np.array([START + minute * MINUTE_US for minute, _ in rows], np.int64),
        close=np.array([version[0] for _, (version, _) in rows]),
        volume=np.array([version[1] for _, (version, _) in rows], np.float64),
        trades=np.array([version[2] or -1 for _, (version, _) in rows], np.int32),
        final=np.array([final for _, (_, final) in rows], np.bool_),
    )
    return SeriesBars(1, 1, START + first * MINUTE_US, START + last * MINUTE_US, bars)


def _minute(ts: datetime) -> int:
    return (to_us(ts) - START) // MINUTE_US


def _finals() -> dict[int, Version]:
    return {_minute(row.ts): (row.close, row.volume, row.trades) for row in stored() if row.final}


def _as_of(moment: datetime) -> dict[int, Version]:
    """Read the final bars as they were known at that moment."""
    rows = [*revisions(), *Bar.objects.filter(series_id=1, final=True)]
    return {
        _minute(row.ts): (row.close, row.volume, row.trades)
        for row in rows
        if row.known_from <= moment and (not hasattr(row, "known_to") or moment < row.known_to)
    }


def _clock() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


@pytest.mark.django_db
@settings(max_examples=30, deadline=None)
@given(writes=_writes)
def test_the_tables_follow_a_simple_model(writes: list[tuple[int, int, Known]]):
    """Counts add up to the rows; each past state can still be read as it was known then."""
    with transaction.atomic():
        model = Model()
        totals: list[WriteCounts] = []
        past: list[tuple[datetime, dict[int, Version]]] = []
        for first, last, drawn in writes:
            payload = {minute: bar for minute, bar in drawn.items() if first <= minute < last}
            expected = model.write(payload, first=first, last=last)
            totals += write(_batch(payload, first=first, last=last))
            assert totals[-1] == expected
            past.append((_clock(), _finals()))
        assert {_minute(row.ts): row.final for row in stored()} == {
            minute: final for minute, (_, final) in model.now.items()
        }
        assert _finals() == {minute: bar for minute, (bar, final) in model.now.items() if final}
        assert sorted(map(repr, model.superseded)) == sorted(
            repr((_minute(row.ts), (row.close, row.volume, row.trades))) for row in revisions()
        )
        assert sum(found.inserted for found in totals) == len(stored())
        assert sum(found.revised for found in totals) == len(revisions())
        for moment, finals in past:
            assert _as_of(moment) == finals
        transaction.set_rollback(True)


@pytest.mark.django_db
@given(cuts=st.lists(st.integers(1, 199), max_size=6), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_windows_may_be_cut_anywhere(cuts: list[int], seed: int):
    """One call with many windows stores what one window would, in any order of the batches."""
    random = np.random.default_rng(seed)
    whole = minutes(200, close=random.integers(90, 110, 200) / 10)
    whole = whole.take(random.random(200) < 0.8)
    edges = [0, *sorted(set(cuts)), 200]
    pieces = [_piece(whole, first, last) for first, last in itertools.pairwise(edges)]
    random.shuffle(pieces)
    with transaction.atomic():
        found = write(*pieces)
        assert [counts.inserted for counts in found] == [len(piece.bars) for piece in pieces]
        again = write(SeriesBars(1, 2, START, START + 200 * MINUTE_US, whole))
        assert again == [WriteCounts(0, len(whole), 0, 0)]
        transaction.set_rollback(True)


def _piece(whole: Bars, first: int, last: int) -> SeriesBars:
    start, end = START + first * MINUTE_US, START + last * MINUTE_US
    inside = (whole.ts >= start) & (whole.ts < end)
    return SeriesBars(1, 1, start, end, whole.take(inside))
