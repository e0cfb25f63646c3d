"""Coverage behaves like a set of microseconds, in any order of loading."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import Window

LIMIT = 40
pairs = st.lists(
    st.tuples(st.integers(0, LIMIT), st.integers(0, LIMIT)).map(lambda pair: tuple(sorted(pair))),
    max_size=8,
)


def members(ranges: Ranges) -> set[int]:
    return {stamp for start, end in ranges for stamp in range(start, end)}


def spread(listed: list[tuple[int, int]]) -> set[int]:
    return {stamp for start, end in listed for stamp in range(start, end)}


@given(pairs)
def test_ranges_hold_exactly_what_they_were_given(listed: list[tuple[int, int]]) -> None:
    """Normalising changes neither more nor less than the writing."""
    ranges = Ranges.of(listed)
    assert members(ranges) == spread(listed)
    assert (ranges.starts < ranges.ends).all()
    assert (ranges.starts[1:] > ranges.ends[:-1]).all()
    assert ranges.total_us == len(spread(listed))


@given(pairs, st.randoms(use_true_random=False))
def test_merging_is_order_free(listed: list[tuple[int, int]], random: Random) -> None:
    """Slices may finish in any order and the coverage is the same."""
    shuffled = list(listed)
    random.shuffle(shuffled)
    merged = Ranges.empty()
    for pair in shuffled:
        merged = merged.union(Ranges.of([pair]))
    assert merged == Ranges.of(listed)
    assert hash(merged) == hash(Ranges.of(listed))


@given(pairs, pairs)
def test_the_algebra_is_that_of_sets(
    left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    """Union, intersection and difference agree with Python's sets, and stay normalised."""
    mine, theirs = Ranges.of(left), Ranges.of(right)
    assert mine.union(theirs) == Ranges.of(left + right)
    for result, truth in (
        (mine.intersect(theirs), spread(left) & spread(right)),
        (mine.subtract(theirs), spread(left) - spread(right)),
    ):
        assert members(result) == truth
        assert result == Ranges.of(result.pairs())


@given(pairs, st.integers(-1, LIMIT + 1))
def test_the_watermark_never_passes_a_gap(listed: list[tuple[int, int]], start: int) -> None:
    """Everything from the start to the watermark is covered, and the watermark itself is not."""
    ranges = Ranges.of(listed)
    mark = ranges.watermark(start)
    covered = spread(listed)
    assert mark >= start
    assert set(range(start, mark)) <= covered
    assert mark not in covered
    assert ranges.covers(start, mark)
    assert not ranges.covers(start, mark + 1)


@given(pairs)
def test_membership_is_the_same_for_one_stamp_and_for_many(listed: list[tuple[int, int]]) -> None:
    """Scalars give a bool, arrays give one bool each."""
    ranges = Ranges.of(listed)
    stamps = np.arange(-1, LIMIT + 2)
    many = ranges.contains(stamps)
    assert many.tolist() == [stamp in spread(listed) for stamp in stamps.tolist()]
    assert [ranges.contains(stamp) for stamp in stamps.tolist()] == many.tolist()


@given(pairs, st.integers(0, LIMIT), st.integers(1, LIMIT))
def test_clipping_keeps_the_inside(listed: list[tuple[int, int]], start: int, length: int) -> None:
    """What is left lies in the clip and was there before."""
    clipped = Ranges.of(listed).clip(start, start + length)
    assert members(clipped) == spread(listed) & set(range(start, start + length))


def test_a_reversed_interval_is_refused() -> None:
    """It is a mistake of the caller, never silently nothing."""
    with pytest.raises(ValueError, match="ends before it starts"):
        Ranges.of([(2, 1)])


def test_ranges_are_immutable_and_convert_to_windows() -> None:
    """The arrays are read-only; windows come back as they went in."""
    windows = [Window.of_us(0, 5), Window.of_us(7, 9)]
    ranges = Ranges.of_windows(reversed(windows))
    assert ranges.windows() == windows
    with pytest.raises(ValueError, match="read-only"):
        ranges.starts[0] = 3
    assert not Ranges.empty()
    assert ranges != "ranges"
    assert repr(ranges) == "Ranges.of([(0, 5), (7, 9)])"
