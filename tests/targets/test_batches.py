"""How batches are cut, named and tried again: pure rules."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.delivery import batch_key, cut_at, delay_after, newest_versions

COUNTS = st.lists(st.integers(0, 5), min_size=1, max_size=8)


@given(counts=COUNTS, at_most=st.integers(1, 12))
def test_batches_partition_the_noted_bars(counts: list[int], at_most: int) -> None:
    """Cut after cut, every bar is delivered once, in order, in batches of the size asked for."""
    left = [np.arange(count) for count in counts]
    first = 0
    delivered: list[tuple[int, int]] = []
    while first < len(left):
        position = np.concatenate(
            [np.full(len(one), place) for place, one in enumerate(left[first:])]
        ).astype(np.int64)
        ts = np.concatenate(left[first:]).astype(np.int64)
        cut = cut_at(position=position, ts=ts, notes=len(left) - first, at_most=at_most)
        assert cut.rows <= at_most
        assert cut.rows == min(at_most, len(ts))
        delivered += zip(
            (position[: cut.rows] + first).tolist(), ts[: cut.rows].tolist(), strict=True
        )
        last = first + cut.notes - 1
        if cut.until_us is None:
            first = last + 1
        else:
            left[last] = left[last][left[last] >= cut.until_us]
            first = last
    assert delivered == [(place, ts) for place, count in enumerate(counts) for ts in range(count)]


def test_records_of_one_stamp_stay_together() -> None:
    """A cut is a stamp, so it cannot part what shares one; the batch is larger then."""
    ts = np.array([5, 5, 5, 6], np.int64)
    cut = cut_at(position=np.zeros(4, np.int64), ts=ts, notes=1, at_most=2)
    assert (cut.rows, cut.notes, cut.until_us) == (3, 1, 6)
    cut = cut_at(position=np.zeros(3, np.int64), ts=ts[:3], notes=1, at_most=2)
    assert (cut.rows, cut.notes, cut.until_us) == (3, 1, None)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), max_size=20))
def test_no_key_is_twice_in_a_part(keys: list[tuple[int, int]]) -> None:
    """Of equal keys one row stays, and rows stand in the order of their keys."""
    ts = np.array([one for one, _ in keys], np.int64)
    sequence = np.array([one for _, one in keys], np.int32)
    rows = newest_versions(ts=ts, sequence=sequence)
    assert [keys[row] for row in rows] == sorted(set(keys))


def test_a_batch_is_named_by_what_it_is_made_of() -> None:
    """The same notes give the same name; another cut or another birth gives another one."""
    name = batch_key(made_us=7, entries=[3, 9], until_us=None)
    assert name == batch_key(made_us=7, entries=[3, 5, 9], until_us=None)
    assert len({name, batch_key(made_us=7, entries=[3, 9], until_us=4)}) == 2
    assert name != batch_key(made_us=8, entries=[3, 9], until_us=None)


def test_waits_grow_to_a_bound_and_obey_the_receiver() -> None:
    """Half a second at least, ten minutes at most, a day where the receiver asks for more."""
    waits = [delay_after(failures=n, retry_after=None, random01=1.0) for n in (1, 2, 3, 50)]
    assert waits == [1.0, 2.0, 4.0, 600.0]
    assert delay_after(failures=1, retry_after=None, random01=0.0) == 0.5
    assert delay_after(failures=1, retry_after=42.0, random01=1.0) == 42.0
    assert delay_after(failures=1, retry_after=1e9, random01=1.0) == 86_400.0
