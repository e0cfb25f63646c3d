"""An update begins within what is stored and ends with the last bar that is over."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation
from ingestion.domain.updating import settled_until, update_start
from ingestion.domain.windows import DAY_US, MICROSECOND
from tests.domain.shapes import expectations, moments, some_ranges


@given(expectations.filter(lambda one: one.timeframe.is_intraday), moments)
def test_every_bar_before_the_end_is_over_and_the_next_one_is_not(
    expectation: Expectation, settled: int
) -> None:
    """Whatever the bars are counted from."""
    until = settled_until(expectation, settled_us=settled)
    assert until <= settled
    near = expectation.accepted.stamps(until - 3 * DAY_US, until + 3 * DAY_US)
    over = expectation.bar_ends(near) <= settled
    assert over[near < until].all()
    step = expectation.timeframe.duration // MICROSECOND
    wholly = near[(near >= until) & over]
    # What ends between two full steps of the clock waits for the next one.
    assert not len(wholly) or settled - int(wholly.min()) < 2 * step


@given(some_ranges, some_ranges, st.integers(0, 90 * DAY_US))
def test_an_update_begins_within_what_is_stored(
    loaded: Ranges, doubted: Ranges, lookback: int
) -> None:
    """Never behind the end of coverage nor a doubt, and no further back than lookback or doubt."""
    doubted = doubted.subtract(loaded)
    start = update_start(loaded=loaded, doubted=doubted, lookback_us=lookback)
    known = loaded.union(doubted)
    if not len(known):
        assert start == lookback
        return
    assert known.starts[0] <= start <= known.ends[-1]
    if len(doubted):
        assert start <= doubted.starts[0]
    else:
        assert start >= min(lookback, int(known.ends[-1]))
    assert start <= max(lookback, int(known.starts[0])) or start == int(known.ends[-1])
    assert isinstance(start, int)
    assert not isinstance(start, np.integer)
