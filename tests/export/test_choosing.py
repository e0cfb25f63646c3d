"""Choosing a provider per session: whole sessions, the better one, nothing lost or mixed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.choosing import NOBODY, Candidate, choose, slots_of
from ingestion.domain.coverage import Ranges
from providers.bars import Bars

SESSIONS = 5
STARTS = np.arange(SESSIONS, dtype=np.int64) * 100
ENDS = STARTS + 60


@st.composite
def candidates(draw: st.DrawFn) -> Candidate:
    """Draw bars inside, before and between sessions, and any coverage."""
    stamps = sorted(draw(st.sets(st.integers(-20, 100 * SESSIONS), max_size=40)))
    spans = draw(st.lists(st.tuples(st.integers(-50, 550), st.integers(0, 300)), max_size=4))
    values = np.full(len(stamps), float(draw(st.integers(1, 9))))
    return Candidate(
        bars=Bars.build(ts=stamps, open=values, high=values, low=values, close=values),
        loaded=Ranges.of([(start, start + length) for start, length in spans]),
    )


def merit(candidate: Candidate, slot: int) -> tuple[bool, int]:
    """Judge one candidate in one slot the slow way."""
    count = int((slots_of(candidate.bars.ts, STARTS) == slot).sum())
    whole = candidate.loaded.covers(int(STARTS[slot]), int(ENDS[slot]))
    return whole and count > 0, count


@given(st.lists(candidates(), min_size=1, max_size=4))
def test_each_session_is_the_best_candidates_as_a_whole(given_: list[Candidate]) -> None:
    """One provider a session: complete first, then more bars, then the earlier; all its bars."""
    chosen = choose(given_, starts=STARTS, ends=ENDS)
    assert (np.diff(chosen.bars.ts) > 0).all()
    slots = slots_of(chosen.bars.ts, STARTS)
    for slot in range(SESSIONS):
        merits = [merit(one, slot) for one in given_]
        rows = slots == slot
        if max(merits) == (False, 0):
            assert chosen.by_slot[slot] == NOBODY
            assert not rows.any()
            continue
        best = merits.index(max(merits))
        assert chosen.by_slot[slot] == best
        assert (chosen.codes[rows] == best).all()
        mine = given_[best].bars
        expected = mine.take(slots_of(mine.ts, STARTS) == slot)
        np.testing.assert_array_equal(chosen.bars.ts[rows], expected.ts)
        np.testing.assert_array_equal(chosen.bars.close[rows], expected.close)


def test_no_bars_and_no_sessions_choose_nothing() -> None:
    """The edges of the question have plain answers."""
    nothing = Candidate(Bars.empty(), Ranges.empty())
    assert len(choose([nothing], starts=STARTS, ends=ENDS).bars) == 0
    assert len(choose([nothing], starts=STARTS[:0], ends=ENDS[:0]).by_slot) == 0
