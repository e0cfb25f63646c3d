"""Looks add up wherever they overlap, however each of them cut a session."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.domain.coverage import Ranges
from ingestion.domain.looks import JUST_NOW, REFUSED, Looks, add_looks

small = st.tuples(st.integers(0, 20), st.integers(1, 6)).map(lambda p: (p[0], p[0] + p[1]))
ranges = st.lists(small, max_size=2).map(Ranges.of)


@st.composite
def disjoint(draw: st.DrawFn) -> list[tuple[int, int, int, int, int]]:
    """Draw rows as they are stored: disjoint, with looks, attempt and time."""
    edges = sorted(draw(st.sets(st.integers(0, 26), min_size=2, max_size=7)))
    return [
        (start, end, draw(st.integers(0, 3)), draw(st.integers(1, 4)), draw(st.integers(0, 9)))
        for start, end in itertools.pairwise(edges)
        if draw(st.booleans())
    ]


seen_rows = st.lists(
    st.tuples(small, st.sampled_from([REFUSED, 1]), st.integers(5, 7)).map(
        lambda p: (*p[0], p[1], p[2], JUST_NOW)
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=50, deadline=None)
@given(disjoint(), seen_rows, ranges, ranges)
def test_every_moment_is_counted_for_itself(
    known: list[tuple[int, int, int, int, int]],
    seen: list[tuple[int, int, int, int, int]],
    loaded: Ranges,
    proven: Ranges,
) -> None:
    """Each stamp ends with the looks, the attempt and the time that it alone would have."""
    result = add_looks(Looks.of(known), Looks.of(seen), loaded=loaded, proven=proven)
    assert all(result.ends[:-1] <= result.starts[1:])
    rows = list(zip(*(getattr(result, name).tolist() for name in Looks.__slots__), strict=True))
    for at in range(27):
        here = [row[2:] for row in rows if row[0] <= at < row[1]]
        assert here == _alone(at, known, seen, loaded=loaded, proven=proven)


def _alone(
    at: int,
    known: list[tuple[int, int, int, int, int]],
    seen: list[tuple[int, int, int, int, int]],
    *,
    loaded: Ranges,
    proven: Ranges,
) -> list[tuple[int, int, int]]:
    if loaded.contains(at):
        return []
    before = [row[2:] for row in known if row[0] <= at < row[1]]
    now = [row for row in seen if row[0] <= at < row[1]]
    now = [row for row in now if row[2] == REFUSED or not proven.contains(at)]
    if not now:
        return before
    looks = (before[0][0] if before else 0) + len({row[3] for row in now if row[2] != REFUSED})
    if any(row[2] == REFUSED for row in now):
        looks = REFUSED
    return [(looks, max(row[3] for row in now), JUST_NOW)]
