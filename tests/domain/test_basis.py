"""A constant ratio is another basis, scattered differences are revisions, rounding is neither."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingestion.domain.basis import LEAST_BARS, OVERLAP_BARS, find_rebase
from ingestion.domain.windows import DAY_US
from providers.bars import Bars

Prices = NDArray[np.float64]


def prices(seed: int, *, bars: int = OVERLAP_BARS, level: float = 100.0) -> Prices:
    """Draw open, high, low and close of some bars."""
    draw = np.random.default_rng(seed)
    middle = level * np.exp(np.cumsum(draw.normal(0, 0.02, bars)))
    spread = middle * draw.uniform(0.001, 0.02, bars)
    open_ = middle + spread * draw.uniform(-1, 1, bars)
    close = middle + spread * draw.uniform(-1, 1, bars)
    return np.stack((open_, middle + spread, middle - spread, close), axis=1)


def bars_of(table: Prices) -> Bars:
    ts = np.arange(len(table)) * DAY_US
    open_, high, low, close = table.T
    return Bars.build(ts=ts, open=open_, high=high, low=low, close=close)


seeds = st.integers(0, 2**32 - 1)
levels = st.floats(2.0, 5_000.0)
decimals = st.integers(2, 6)
ratios = st.one_of(
    st.sampled_from([0.5, 0.25, 1 / 7, 2.0, 10.0, 0.1, 20.0]),
    st.floats(0.5, 0.985),
    st.floats(1.015, 3.0),
)


@settings(max_examples=50)
@given(seed=seeds, level=levels, places=decimals, ratio=ratios)
def test_every_constant_ratio_beyond_rounding_is_seen(
    seed: int, level: float, places: int, ratio: float
) -> None:
    stored = prices(seed, level=level).round(places)
    sent = (stored * ratio).round(places)
    if 10.0**-places / min(stored.min(), sent.min()) > abs(ratio - 1) / 4:
        return
    seen = find_rebase(bars_of(stored), bars_of(sent))
    assert seen is not None
    assert seen.ratio == pytest.approx(ratio, rel=0.01)
    assert seen.bars == OVERLAP_BARS


@settings(max_examples=50)
@given(seed=seeds, level=levels, places=decimals, noise=seeds)
def test_rounding_and_single_precision_are_no_change_of_basis(
    seed: int, level: float, places: int, noise: int
) -> None:
    exact = prices(seed, level=level)
    stored, sent = exact.round(places), exact.astype(np.float32).astype(np.float64)
    assert find_rebase(bars_of(stored), bars_of(sent)) is None
    assert find_rebase(bars_of(sent), bars_of(stored)) is None


@settings(max_examples=50)
@given(seed=seeds, corrected=st.sets(st.integers(0, OVERLAP_BARS - 1), min_size=1), draw=seeds)
def test_scattered_differences_are_revisions(seed: int, corrected: set[int], draw: int) -> None:
    """Each corrected bar by a factor of its own, at least a tenth of a percent from the others'."""
    stored = prices(seed).round(2)
    factors = 1 + np.random.default_rng(draw).permutation(np.arange(1, 11)) * 0.01
    sent = stored.copy()
    for place in corrected:
        sent[place] *= factors[place]
    assert find_rebase(bars_of(stored), bars_of(sent)) is None


@pytest.mark.parametrize("newer", range(OVERLAP_BARS - LEAST_BARS + 1))
def test_bars_from_after_the_ex_date_keep_their_prices(newer: int) -> None:
    """A dividend some days ago: the bars before it have moved, those since then have not."""
    stored = prices(7).round(4)
    sent = stored.copy()
    sent[: OVERLAP_BARS - newer] *= 0.985
    seen = find_rebase(bars_of(stored), bars_of(sent.round(4)))
    assert seen is not None
    assert seen.bars == OVERLAP_BARS - newer
    assert seen.last_us == (OVERLAP_BARS - newer - 1) * DAY_US


def test_one_correction_among_them_hides_no_split() -> None:
    stored = prices(3)
    sent = stored / 4
    sent[-1] *= 1.03
    seen = find_rebase(bars_of(stored), bars_of(sent))
    assert seen is not None
    assert seen.bars == OVERLAP_BARS - 1


def test_too_few_bars_prove_nothing() -> None:
    stored = prices(3, bars=LEAST_BARS - 1)
    assert find_rebase(bars_of(stored), bars_of(stored / 4)) is None


def test_prices_without_a_ratio_are_left_out() -> None:
    """A future may have traded at zero or below."""
    stored = prices(3)
    stored[0] = -1.0
    stored[1] = 0.0
    seen = find_rebase(bars_of(stored), bars_of(stored / 2))
    assert seen is not None
    assert seen.bars == OVERLAP_BARS - 2
