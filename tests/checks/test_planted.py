"""What is planted into a clean market is found, wherever it lies; what is clean is left alone."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.domain.checks.disagreement import find_disagreements
from ingestion.domain.checks.found import Found
from ingestion.domain.checks.look import look
from ingestion.domain.checks.spikes import EDGE, LONGEST, WICK, WICK_SHORT
from ingestion.domain.checks.stretch import Split
from ingestion.domain.coverage import Ranges
from ingestion.domain.findings import Check, Severity
from ingestion.domain.windows import MINUTE_US
from providers.bars import Bars
from providers.types import Adjustment, Timeframe
from tests.checks.market import D1, H1, M1, WINDOWS, expected, market, scaled, stretch, without

# What docs/quality.md promises: twelve usual moves, and two percent, are found at every bar that
# has a neighbour on both sides.
PROMISED_MOVES, PROMISED_SIZE = 12.0, 0.02

seeds = st.integers(0, 2**32 - 1)
timeframes = st.sampled_from([D1, H1, M1])
moves = st.sampled_from([0.0002, 0.001, 0.005, 0.02])
signs = st.sampled_from([-1, 1])
# Counted from the end where negative, so that both ends come often.
places = st.integers(0, 3) | st.integers(-4, -1) | st.integers(4, 100)
few = settings(max_examples=40, deadline=None)


def kinds(found: list[Found]) -> list[Check]:
    return [one.kind for one in found]


def holding(found: list[Found], stamp: int) -> list[Check]:
    return [one.kind for one in found if one.start_us <= stamp < one.end_us]


@few
@given(timeframe=timeframes, seed=seeds, move=moves)
def test_a_clean_market_is_left_alone(timeframe: Timeframe, seed: int, move: float) -> None:
    """Half days, nights and weekends are in it, and none of them is a finding."""
    assert look(stretch(market(timeframe, seed=seed, move=move), timeframe)) == []


@few
@given(
    timeframe=timeframes,
    seed=seeds,
    move=moves,
    place=places,
    width=st.integers(1, LONGEST),
    larger=st.floats(1.0, 30.0),
    sign=signs,
)
def test_every_spike_is_found(
    timeframe: Timeframe,
    seed: int,
    move: float,
    place: int,
    width: int,
    larger: float,
    sign: int,
) -> None:
    """One to ten bars on another level, somewhere between the first bar and the last."""
    bars = market(timeframe, seed=seed, move=move)
    first = min(max(1, place % len(bars)), len(bars) - 1 - width)
    # The walk itself may carry a wide excursion half of its way back.
    least = max(PROMISED_SIZE, PROMISED_MOVES * move * math.sqrt(width))
    planted = scaled(bars, first, first + width - 1, math.exp(sign * least * larger))
    found = look(stretch(planted, timeframe))
    assert holding(found, int(bars.ts[first])) == [Check.SPIKE]
    assert holding(found, int(bars.ts[first + width - 1])) == [Check.SPIKE]
    assert kinds(found) == [Check.SPIKE]


@few
@given(timeframe=timeframes, seed=seeds, every=st.integers(18, 60), size=st.floats(0.3, 4.0))
def test_spikes_do_not_hide_each_other(
    timeframe: Timeframe, seed: int, every: int, size: float
) -> None:
    """As long as fewer than one bar in fifteen is off, each is found."""
    bars = market(timeframe, seed=seed)
    factors = np.ones(len(bars))
    factors[7:-1:every] = math.exp(size)
    prices = {name: getattr(bars, name) * factors for name in ("open", "high", "low", "close")}
    found = look(stretch(replace(bars, **prices), timeframe))
    assert set(kinds(found)) == {Check.SPIKE}
    assert [one.start_us for one in found[:100]] == bars.ts[7:-1:every][:100].tolist()


@few
@given(timeframe=timeframes, seed=seeds, last=st.booleans(), sign=signs)
def test_a_spiked_first_or_last_bar_is_found(
    timeframe: Timeframe, seed: int, last: bool, sign: int
) -> None:
    """With one neighbour only, three tenths and more are found."""
    bars = market(timeframe, seed=seed)
    place = len(bars) - 1 if last else 0
    found = look(stretch(scaled(bars, place, place, math.exp(sign * 1.1 * EDGE.size)), timeframe))
    assert kinds(found) == holding(found, int(bars.ts[place])) == [Check.SPIKE]
    assert found[0].evidence["shape"] == "edge"


@few
@given(timeframe=timeframes, seed=seeds, place=st.integers(1, 200), above=st.booleans())
def test_a_wild_high_or_low_is_found(
    timeframe: Timeframe, seed: int, place: int, above: bool
) -> None:
    """A wick is found though open and close are sound: a bad print."""
    bars = market(timeframe, seed=seed)
    limit = WICK_SHORT if timeframe is M1 else WICK
    factor = math.exp(1.2 * limit.size)
    high, low = bars.high.copy(), bars.low.copy()
    if above:
        high[place] *= factor
    else:
        low[place] /= factor
    found = look(stretch(replace(bars, high=high, low=low), timeframe))
    assert kinds(found) == holding(found, int(bars.ts[place])) == [Check.SPIKE]


def test_a_split_that_is_known_is_taken_out_and_an_unknown_one_is_noted() -> None:
    """Of a raw series a jump like a split is a note, of an adjusted one something lacks."""
    bars = scaled(market(D1), 100, 10_000, 1 / 7)
    known = Split(int(bars.ts[100]), 7.0)
    assert look(stretch(bars, D1, splits=(known,))) == []
    (raw,) = look(stretch(bars, D1))
    assert (raw.severity, raw.evidence["looks_like_split"]) == (Severity.NOTE, "7:1")
    (adjusted,) = look(stretch(bars, D1, adjustment=Adjustment.SPLIT))
    assert adjusted.severity is Severity.WARNING
    # A provider that had adjusted already has no jump to take out.
    assert look(stretch(market(D1), D1, splits=(known,))) == []


@few
@given(timeframe=timeframes, seed=seeds, place=st.integers(0, 30), sessions=st.integers(1, 6))
def test_sessions_without_bars_are_a_gap(
    timeframe: Timeframe, seed: int, place: int, sessions: int
) -> None:
    """The first, the last and any between, alone or in a row; half days too."""
    bars = market(timeframe, seed=seed)
    units = expected(timeframe).expected_units(WINDOWS[timeframe])
    first = place % len(units)
    last = min(first + sessions, len(units)) - 1
    if last - first + 1 == len(units):
        last -= 1
    gone = (bars.ts >= units.starts[first]) & (bars.ts < units.ends[last])
    found = look(stretch(bars.take(~gone), timeframe))
    assert kinds(found) == [Check.GAP]
    assert found[0].start_us == units.starts[first]
    assert found[0].evidence["sessions"] == last - first + 1


@few
@given(
    timeframe=st.sampled_from([M1, H1]),
    seed=seeds,
    session=st.integers(0, 30),
    at=st.integers(0, 400),
    more=st.integers(0, 60),
)
def test_a_hole_in_a_session_is_found(
    timeframe: Timeframe, seed: int, session: int, at: int, more: int
) -> None:
    """From three minutes, or one hourly bar, at the begin, in the middle or at the end."""
    bars = market(timeframe, seed=seed)
    units = expected(timeframe).expected_units(WINDOWS[timeframe])
    row = session % len(units)
    rows = np.flatnonzero((bars.ts >= units.starts[row]) & (bars.ts < units.ends[row]))
    size = min((3 if timeframe is M1 else 1) + more, len(rows) - 1)
    first = int(rows[min(at % len(rows), len(rows) - size)])
    found = look(stretch(without(bars, first, first + size - 1), timeframe))
    assert kinds(found) == [Check.PARTIAL_SESSION]
    assert found[0].start_us <= bars.ts[first] < found[0].end_us


@few
@given(seed=seeds, share=st.floats(0.05, 0.4))
def test_thin_trading_is_no_hole(seed: int, share: float) -> None:
    """Minutes without a trade, scattered over every session alike, say nothing."""
    bars = market(M1, seed=seed)
    traded = np.random.default_rng(seed).random(len(bars)) > share
    assert look(stretch(bars.take(traded), M1)) == []


@pytest.mark.parametrize("timeframe", [D1, M1])
def test_a_feed_that_stands_still_is_found(timeframe: Timeframe) -> None:
    """Prices repeat while volume goes on: whoever wrote them had no new ones."""
    bars = market(timeframe)
    stuck = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for column in stuck.values():
        column[100:140] = bars.close[99]
    found = look(stretch(replace(bars, **stuck), timeframe))
    assert kinds(found) == [Check.STALE]
    assert found[0].evidence["bars_affected"] in (40, 41)


@few
@given(seed=seeds, price=st.floats(2.0, 20.0))
def test_a_cheap_share_that_moves_by_single_ticks_is_left_alone(seed: int, price: float) -> None:
    """Half an hour on one cent is nothing there."""
    bars = market(M1, seed=seed, move=0.0003)
    prices = {
        name: np.round(getattr(bars, name) * price / 100, 2)
        for name in ("open", "high", "low", "close")
    }
    assert look(stretch(replace(bars, **prices), M1)) == []


def test_copies_of_a_bar_are_found_from_three_on() -> None:
    """The same four prices and the same volume, and not all one price, are no coincidence."""
    bars = market(D1)
    rows = np.arange(len(bars))
    rows[100:103] = 100
    copied = replace(bars.take(rows), ts=bars.ts)
    (found,) = look(stretch(copied, D1))
    assert (found.kind, found.evidence["shape"]) == (Check.STALE, "copies")
    assert found.evidence["bars_affected"] == 3


def test_silence_is_found_where_there_usually_is_volume() -> None:
    """Ten sessions without volume; an index that never has any is left alone."""
    bars = market(D1)
    volume = bars.volume.copy()
    volume[50:60] = 0
    (found,) = look(stretch(replace(bars, volume=volume), D1))
    assert (found.kind, found.evidence["bars_affected"]) == (Check.ZERO_VOLUME, 10)
    assert look(stretch(replace(bars, volume=np.zeros(len(bars))), D1)) == []
    assert look(stretch(replace(bars, volume=volume), D1, has_volume=False)) == []


def test_only_what_is_judged_is_reported() -> None:
    """The rest is there to compare with."""
    bars = scaled(scaled(market(D1), 50, 50, 3.0), 150, 150, 3.0)
    judged = Ranges.of([(int(bars.ts[140]), int(bars.ts[160]))])
    (found,) = look(stretch(bars, D1, judged=judged))
    assert found.start_us == bars.ts[150]


def test_prices_that_cross_zero_are_judged_by_their_usual_size() -> None:
    """As oil's did in April 2020: no logarithm, and a spike is a spike all the same."""
    bars = market(D1)
    shifted = {name: getattr(bars, name) - 95 for name in ("open", "high", "low", "close")}
    low = replace(bars, **shifted)
    assert low.low.min() < 0 < low.high.max() or low.low.min() > 0
    low = replace(low, **{name: column - 5 for name, column in shifted.items()})
    assert low.low.min() < 0
    found = look(stretch(scaled(low, 120, 120, 500.0), D1, may_be_negative=True))
    assert Check.SPIKE in kinds(found)


class TestDisagreement:
    """Two providers of the same bars."""

    NAMED = {"provider": "other", "series_id": 7}

    def found(self, mine: Bars, theirs: Bars, timeframe: Timeframe = D1) -> list[Found]:
        return find_disagreements(stretch(mine, timeframe), theirs, named=self.NAMED)

    @few
    @given(seed=seeds, noise=st.floats(0.0, 0.002))
    def test_other_last_prints_are_no_contradiction(self, seed: int, noise: float) -> None:
        """Closes a fifth of a percent apart are what two honest vendors have."""
        bars = market(D1, seed=seed, move=0.01)
        wobble = np.exp(np.random.default_rng(seed).normal(0, noise, len(bars)))
        assert self.found(replace(bars, close=bars.close * wobble), bars) == []

    @few
    @given(seed=seeds, place=st.integers(0, 240), factor=st.sampled_from([0.5, 0.9, 1.04, 100]))
    def test_one_close_that_differs_is_found(self, seed: int, place: int, factor: float) -> None:
        """From four percent on, with both closes in the evidence."""
        bars = market(D1, seed=seed, move=0.01)
        (found,) = self.found(scaled(bars, place, place, factor), bars)
        assert found.start_us == bars.ts[place]
        assert found.evidence["closes"][0][1:] == pytest.approx(
            [bars.close[place] * factor, bars.close[place]], rel=1e-6
        )

    def test_another_level_is_one_finding_of_all(self) -> None:
        """Pence against pounds."""
        bars = market(D1)
        (found,) = self.found(scaled(bars, 0, len(bars), 100.0), bars)
        assert (found.severity, found.evidence["shape"]) == (Severity.ERROR, "level")
        assert found.evidence["ratio"] == pytest.approx(100.0)

    @pytest.mark.parametrize("offset", [-1, 1])
    def test_stamps_off_by_one_bar_are_one_finding(self, offset: int) -> None:
        """A vendor that stamps the end of its minutes."""
        bars = market(M1)
        late = replace(bars, ts=bars.ts + offset * MINUTE_US)
        (found,) = self.found(late, bars, M1)
        assert (found.evidence["shape"], found.evidence["bars"]) == ("shifted", offset)

    def test_who_shares_no_stamp_cannot_be_compared(self) -> None:
        """Nor does an empty peer contradict anybody."""
        bars = market(D1)
        assert self.found(bars, Bars.empty()) == []


def test_evidence_stays_small_where_everything_is_wrong() -> None:
    """A thousand contradictions are a hundred findings, and the last one counts the rest."""
    bars = market(M1)
    low = bars.low.copy()
    low[::2] = bars.high[::2] * 2
    found = look(stretch(replace(bars, low=low), M1))
    ohlc = [one for one in found if one.kind is Check.OHLC]
    assert len(ohlc) == 100
    assert ohlc[-1].evidence["more_like_this"] == (len(bars) + 1) // 2 - 100
    assert ohlc[-1].end_us > bars.ts[-3]
