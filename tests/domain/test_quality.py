"""Validation sets bad rows aside with a reason, and never loses one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.expectation import Expectation, expect
from ingestion.domain.quality import Reason, Verdict, validate
from ingestion.domain.windows import DAY_US, HOUR_US, MINUTE_US, Window
from providers.bars import Bars
from providers.types import Anchor, Hours, Timeframe
from tests.domain.shapes import VENUES

MINUTES = expect(
    VENUES["weekdays"], timeframe=Timeframe.M1, hours=Hours.REGULAR, anchor=Anchor.OPEN
)
_LONG_DAYS = VENUES["weekdays"]
# The same days with four hours of trading before the open and after the close.
LONG_MINUTES = expect(
    replace(
        _LONG_DAYS,
        earliest=_LONG_DAYS.opens - 4 * HOUR_US,
        latest=_LONG_DAYS.closes + 4 * HOUR_US,
    ),
    timeframe=Timeframe.M1,
    hours=Hours.EXTENDED,
    anchor=Anchor.OPEN,
)
OPEN = 4 * DAY_US + 13 * HOUR_US + 30 * MINUTE_US
DAY = Window.of_us(4 * DAY_US, 5 * DAY_US)


def make_bars(n: int = 10) -> Bars:
    """Return n sound minutes from the open on."""
    base = 100 + np.arange(n, dtype=np.float64)
    return Bars.build(
        ts=OPEN + np.arange(n) * MINUTE_US,
        open=base,
        high=base + 2,
        low=base - 2,
        close=base + 1,
        volume=base * 10,
        vwap=base,
        trades=np.arange(n) + 1,
    )


def with_row(bars: Bars, row: int | slice, **values: Any) -> Bars:
    """Return the bars with some values of one row replaced."""
    columns = {}
    for name, value in values.items():
        column = getattr(bars, name).copy()
        column[row] = value
        columns[name] = column
    return replace(bars, **columns)


def check(bars: Bars, **options: Any) -> Verdict:
    """Validate against one Monday, long after it was over."""
    settings = {"as_of_us": 100 * DAY_US, "finality_delay_us": 0} | options
    return validate(bars, window=DAY, expectation=MINUTES, **settings)


def same(left: Bars, right: Bars) -> bool:
    return all(
        np.array_equal(getattr(left, name), getattr(right, name), equal_nan=name not in {"final"})
        for name in Bars.__slots__
    )


def test_a_clean_batch_passes_untouched() -> None:
    """No copy is made of what is right already."""
    bars = make_bars()
    verdict = check(bars)
    assert verdict.good is bars
    assert (len(verdict.bad_rows), verdict.reasons, verdict.failed) == (0, [], None)
    assert (verdict.collapsed, verdict.out_of_order) == (0, 0)


def test_an_empty_batch_is_no_failure_by_itself() -> None:
    """Whether nothing was expected is for the coverage to judge."""
    assert check(Bars.empty()).failed is None
    assert check(Bars.empty(), minimum_bars=1).failed == (
        "only 0 good bars arrived where at least 1 are required"
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"close": math.nan}, Reason.MISSING_VALUE),
        ({"high": math.inf}, Reason.NON_FINITE),
        ({"low": -math.inf}, Reason.NON_FINITE),
        ({"volume": math.inf}, Reason.NON_FINITE),
        ({"vwap": -math.inf}, Reason.NON_FINITE),
        ({"low": 0.0}, Reason.PRICE_NOT_POSITIVE),
        ({"low": -1.0}, Reason.PRICE_NOT_POSITIVE),
        ({"volume": -1.0}, Reason.NEGATIVE),
        ({"trades": -2}, Reason.NEGATIVE),
        ({"vwap": -0.5}, Reason.NEGATIVE),
        ({"high": 101.0}, Reason.OHLC),
        ({"low": 103.5}, Reason.OHLC),
        ({"close": 500.0}, Reason.OHLC),
        ({"open": 1.0}, Reason.OHLC),
        ({"ts": OPEN + 30_000_000}, Reason.OFF_GRID),
        ({"ts": OPEN - MINUTE_US}, Reason.OFF_GRID),
        ({"ts": OPEN + DAY_US}, Reason.OUTSIDE_WINDOW),
        ({"ts": DAY.start_us - 1}, Reason.OUTSIDE_WINDOW),
        ({"ts": np.iinfo(np.int64).min}, Reason.BAD_STAMP),
        ({"ts": np.iinfo(np.int64).max}, Reason.BAD_STAMP),
        (
            {"open": math.nan, "high": math.nan, "low": math.nan, "close": math.nan, "volume": 0},
            Reason.EMPTY_ROW,
        ),
        (
            {"open": math.nan, "high": math.nan, "low": math.nan, "close": math.nan},
            Reason.MISSING_VALUE,
        ),
    ],
)
def test_one_bad_row_is_set_aside_and_the_rest_goes_on(
    values: dict[str, Any], reason: Reason
) -> None:
    """Row 3 is named with its reason; the nine others are kept in order."""
    bars = make_bars()
    verdict = check(with_row(bars, 3, **values))
    assert verdict.bad_rows.tolist() == [3]
    assert verdict.reasons == [reason]
    assert verdict.failed is None
    assert same(verdict.good, bars.take(np.arange(10) != 3))


def test_absent_volume_and_trades_are_sound() -> None:
    """An index without volume has NaN, and nobody counts its trades."""
    bars = replace(
        make_bars(), volume=np.full(10, np.nan), vwap=np.full(10, np.nan), trades=np.full(10, -1)
    )
    assert check(bars).good is bars


def test_negative_prices_are_sound_where_they_are_allowed() -> None:
    """Crude oil traded below zero; its volume still cannot."""
    bars = make_bars()
    lowered = replace(
        bars,
        **{name: getattr(bars, name) - 105 for name in ("open", "high", "low", "close", "vwap")},
    )
    assert len(check(lowered).bad_rows) > 0
    assert check(lowered, allow_negative_prices=True).good is lowered
    verdict = check(with_row(lowered, 2, volume=-1.0), allow_negative_prices=True)
    assert verdict.reasons == [Reason.NEGATIVE]
    nothing = dict.fromkeys(("open", "high", "low", "close", "volume"), 0.0)
    verdict = check(with_row(lowered, 2, **nothing), allow_negative_prices=True)
    assert verdict.reasons == [Reason.PRICE_NOT_POSITIVE]


def test_rows_out_of_order_are_sorted_and_counted() -> None:
    """Newest first is ten rows with nine steps back, and nothing is bad."""
    bars = make_bars()
    verdict = check(bars.take(np.arange(9, -1, -1)))
    assert same(verdict.good, bars)
    assert verdict.out_of_order == 9
    assert verdict.reasons == []


def test_identical_repetitions_collapse_silently_and_are_counted() -> None:
    """A page boundary that delivers a row twice is harmless, absent values included."""
    bars = with_row(make_bars(), 4, volume=math.nan)
    verdict = check(Bars.concat([bars, bars.take(np.array([4, 4, 7]))]))
    assert same(verdict.good, bars)
    assert (verdict.collapsed, verdict.reasons) == (3, [])


def test_contradicting_repetitions_are_all_set_aside() -> None:
    """Nobody can tell which of them is right, also where two of three agree."""
    bars = make_bars()
    twin = with_row(bars, 5, close=bars.close[5] + 0.5).take(np.array([5]))
    verdict = check(Bars.concat([bars, twin, bars.take(np.array([5]))]))
    assert verdict.bad_rows.tolist() == [5, 10, 11]
    assert set(verdict.reasons) == {Reason.DUPLICATE_CONFLICT}
    assert len(verdict.good) == 9


def test_a_bad_repetition_does_not_hurt_the_good_row() -> None:
    """It is bad by itself, so it contradicts nobody."""
    bars = make_bars()
    broken = with_row(bars, 5, high=math.nan).take(np.array([5]))
    verdict = check(Bars.concat([bars, broken]))
    assert same(verdict.good, bars)
    assert verdict.reasons == [Reason.MISSING_VALUE]


def test_more_than_a_fifth_of_bad_rows_fails_the_batch() -> None:
    """Two of ten may be bad, three may not; the sentence counts the reasons."""
    bars = make_bars()
    for row in (1, 2):
        bars = with_row(bars, row, volume=-1.0)
    assert check(bars).failed is None
    bars = with_row(bars, 3, close=math.nan)
    verdict = check(bars)
    assert verdict.failed is not None
    assert "3 of 10 rows are bad (30%, at most 20% may be)" in verdict.failed
    assert "negative 2, missing_value 1" in verdict.failed
    assert len(verdict.good) == 7
    assert check(bars, max_bad_fraction=0.3).failed is None


def test_placeholders_count_only_where_nothing_else_arrived() -> None:
    """A thin stock is full of empty minutes; an answer of nothing else is garbage."""
    nan = {name: np.full(10, np.nan) for name in ("open", "high", "low", "close", "volume")}
    empty = replace(make_bars(), **nan)
    assert check(empty).failed is not None
    traded = with_row(empty, 0, open=5.0, high=6.0, low=4.0, close=5.0, volume=10.0)
    verdict = check(traded)
    assert verdict.failed is None
    assert verdict.reasons == [Reason.EMPTY_ROW] * 9


def test_too_few_good_bars_fail_the_batch() -> None:
    """The minimum counts what is good, not what arrived."""
    bars = with_row(make_bars(), 0, volume=-1.0)
    assert check(bars, minimum_bars=9).failed is None
    assert check(bars, minimum_bars=10).failed == (
        "only 9 good bars arrived where at least 10 are required"
    )


def test_a_bar_is_final_once_it_is_over_and_settled() -> None:
    """The minute that ends at the moment of the answer is final, the next one is not."""
    bars = make_bars()
    received = OPEN + 5 * MINUTE_US
    assert check(bars, as_of_us=received).good.final.tolist() == [True] * 5 + [False] * 5
    delayed = check(bars, as_of_us=received, finality_delay_us=2 * MINUTE_US)
    assert delayed.good.final.tolist() == [True] * 3 + [False] * 7
    forming = with_row(bars, 9, final=False)
    assert check(forming).good.final.tolist() == [True] * 9 + [False]
    assert bars.final.all()


def test_rows_before_and_after_the_session_are_left_out_and_counted() -> None:
    """They are no fault, whatever their share; stamps of no part of the day remain one."""
    bars = make_bars()
    bars = with_row(bars, slice(0, 6), ts=OPEN - HOUR_US + np.arange(6) * MINUTE_US)
    bars = with_row(bars, 6, ts=OPEN - 5 * HOUR_US)
    bars = with_row(bars, 7, ts=OPEN + 1)
    for extended, (good, bad, outside) in {None: (2, 8, 0), LONG_MINUTES: (2, 2, 6)}.items():
        verdict = check(bars, extended=extended, max_bad_fraction=0.6)
        assert (len(verdict.good), len(verdict.bad_rows)) == (good, bad)
        assert (verdict.outside_hours, verdict.collapsed) == (outside, 0)
        assert set(verdict.reasons) == {Reason.OFF_GRID}
    assert check(bars, max_bad_fraction=0.6).failed is not None
    assert check(bars, extended=LONG_MINUTES, max_bad_fraction=0.6).failed is None


def test_without_validation_only_what_no_table_can_hold_is_refused() -> None:
    """Odd prices, stamps and volumes pass, and no share of refused rows fails the batch."""
    odd = make_bars(5)
    odd = with_row(odd, 0, high=1.0)
    odd = with_row(odd, 1, low=-7.0, volume=-1.0)
    odd = with_row(odd, 2, ts=OPEN + 2 * MINUTE_US + 1)
    verdict = check(odd, strict=False)
    assert same(verdict.good, odd)
    assert check(odd).failed is not None

    impossible = make_bars(7)
    impossible = with_row(impossible, 0, close=math.nan)
    impossible = with_row(impossible, 1, open=math.inf)
    impossible = with_row(impossible, 2, ts=-(2**63))
    impossible = with_row(impossible, 3, ts=OPEN - DAY_US)
    impossible = with_row(impossible, 5, ts=impossible.ts[4])
    verdict = check(impossible, strict=False, minimum_bars=5)
    assert [reason.value for reason in verdict.reasons] == [
        "missing_value",
        "non_finite",
        "bad_stamp",
        "outside_window",
        "duplicate_conflict",
        "duplicate_conflict",
    ]
    assert (len(verdict.good), verdict.failed) == (1, None)


def as_bars(rows: list[tuple[float, ...]]) -> Bars:
    """Turn rows of (ts, open, high, low, close, volume, sequence) into columns."""
    ts, opened, high, low, close, volume, sequence = zip(*rows, strict=True) if rows else [()] * 7
    return Bars.build(
        ts=ts, open=opened, high=high, low=low, close=close, volume=volume, sequence=sequence
    )


stamps = st.sampled_from(
    [
        *(OPEN, OPEN + MINUTE_US, OPEN + 2 * MINUTE_US),
        *(OPEN + 1, OPEN - MINUTE_US, OPEN - DAY_US, -(2**63)),
    ]
)
prices = st.one_of(
    st.sampled_from([(100.0, 101.0, 99.0, 100.0), (-5.0, -4.0, -6.0, -5.0)]),
    st.tuples(*[st.sampled_from([100.0, 99.0, 0.0, -5.0, math.nan, math.inf])] * 4),
)
rows = st.tuples(stamps, prices, st.sampled_from([10.0, math.nan, -1.0]), st.integers(0, 1)).map(
    lambda row: (row[0], *row[1], row[2], row[3])
)
batches = st.lists(rows, max_size=30).map(as_bars)


@given(batches, st.booleans(), st.sampled_from([None, LONG_MINUTES]), st.booleans())
def test_no_row_is_ever_lost(
    bars: Bars, negative: bool, extended: Expectation | None, strict: bool
) -> None:
    """Each row is good, bad, collapsed or outside hours; what is good is sound."""
    verdict = check(bars, allow_negative_prices=negative, extended=extended, strict=strict)
    good = verdict.good
    counted = len(good) + len(verdict.bad_rows) + verdict.collapsed + verdict.outside_hours
    assert counted == len(bars)
    assert len(verdict.reasons) == len(verdict.bad_rows)
    assert (np.diff(verdict.bad_rows) > 0).all()
    keys = list(zip(good.ts.tolist(), good.sequence.tolist(), strict=True))
    assert keys == sorted(set(keys))
    assert np.isfinite([good.open, good.high, good.low, good.close]).all()
    if not strict:
        return
    assert MINUTES.on_grid(good.ts).all()
    assert (good.low <= np.minimum(good.open, good.close)).all()
    assert (good.high >= np.maximum(good.open, good.close)).all()
    assert negative or (good.low > 0).all()


@given(batches)
def test_validating_twice_changes_nothing(bars: Bars) -> None:
    """What was good once is good again."""
    good = check(bars).good
    again = check(good)
    assert again.reasons == []
    assert same(again.good, good)
