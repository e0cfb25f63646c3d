"""The arithmetic of adjusted prices: its properties, and real prices with real actions."""

from __future__ import annotations

import csv
import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.adjusting import (
    CannotAdjust,
    Factors,
    Stamps,
    check_adjustable,
    choose_actions,
    date_us,
    dividend_dates,
    factors,
)
from providers.bars import Bars, FloatColumn
from providers.instruments import ActionKind, CorporateAction
from providers.simulator.actions import recorded_actions
from providers.simulator.recorded import load_recordings
from providers.types import Adjustment, Timeframe

RAW, SPLIT, SPLIT_DIV = Adjustment
FIRST = date(2020, 1, 1)
DAYS = 40
LABELS = np.array([date_us(FIRST + timedelta(days=i)) for i in range(DAYS)], np.int64)


def factors_of(
    actions: list[CorporateAction] | tuple[CorporateAction, ...],
    *,
    labels: Stamps,
    closes: FloatColumn,
    basis_from: Adjustment = RAW,
    basis_to: Adjustment = SPLIT_DIV,
) -> Factors:
    """Take the closes before ex-dates from a daily series, as the store does."""
    days = dividend_dates(actions, basis_from=basis_from, basis_to=basis_to)
    rows = np.searchsorted(labels, days) - 1
    found = rows >= 0
    return factors(
        actions,
        closes_before=np.where(found, closes[rows], np.nan),
        close_labels_us=np.where(found, labels[rows], days),
        basis_from=basis_from,
        basis_to=basis_to,
    )


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


splits = st.builds(
    CorporateAction,
    ex_date=st.integers(-2, DAYS + 2).map(day),
    kind=st.just(ActionKind.SPLIT),
    value=st.sampled_from([2.0, 3.0, 7.0, 1.5, 0.1, 20.0]),
)
dividends = st.builds(
    CorporateAction,
    ex_date=st.integers(-2, DAYS + 2).map(day),
    kind=st.just(ActionKind.DIVIDEND),
    value=st.floats(0.01, 0.04),
)
actions_lists = st.lists(
    st.one_of(splits, dividends), max_size=8, unique_by=lambda one: (one.ex_date, one.kind)
)
walks = st.lists(st.floats(-0.05, 0.05), min_size=DAYS, max_size=DAYS).map(
    lambda steps: 100 * np.exp(np.cumsum(steps))
)


@given(actions=st.lists(splits, max_size=5, unique_by=lambda one: one.ex_date), values=walks)
def test_a_pure_split_changes_no_return(
    actions: list[CorporateAction], values: FloatColumn
) -> None:
    """A share whose price is divided on the ex-date has, adjusted, the returns of the company."""
    shares = np.ones(DAYS)
    for one in actions:
        shares[date_us(one.ex_date) <= LABELS] *= one.value
    raw = values / shares
    factor = factors_of(actions, labels=LABELS, closes=raw, basis_to=SPLIT)
    adjusted = raw * factor.price(LABELS)
    assert np.allclose(adjusted[1:] / adjusted[:-1], values[1:] / values[:-1])
    assert np.allclose(factor.price(LABELS) * factor.volume(LABELS), 1)


@given(actions=actions_lists, closes=walks)
def test_bars_from_the_last_ex_date_on_are_left_alone(
    actions: list[CorporateAction], closes: FloatColumn
) -> None:
    factor = factors_of(actions, labels=LABELS, closes=closes)
    last = max((date_us(one.ex_date) for one in actions), default=LABELS[0])
    after = LABELS[last <= LABELS]
    assert (factor.price(after) == 1).all()
    assert (factor.volume(after) == 1).all()


@given(actions=actions_lists, closes=walks)
def test_two_steps_make_the_whole_way(actions: list[CorporateAction], closes: FloatColumn) -> None:
    """Raw to split and on to split_div equals raw to split_div; no step does nothing."""
    whole = factors_of(actions, labels=LABELS, closes=closes)
    first = factors_of(actions, labels=LABELS, closes=closes, basis_to=SPLIT)
    between = closes * first.price(LABELS)
    second = factors_of(actions, labels=LABELS, closes=between, basis_from=SPLIT)
    assert np.allclose(first.price(LABELS) * second.price(LABELS), whole.price(LABELS))
    assert (second.volume(LABELS) == 1).all()
    still = factors_of(actions, labels=LABELS, closes=closes, basis_from=RAW, basis_to=RAW)
    assert (still.price(LABELS) == 1).all()


def test_a_dividend_on_the_day_of_a_split_is_in_the_new_shares() -> None:
    """100 before a 4:1 split with 1.00 a new share is 25 before a dividend of 1.00: 4 %."""
    actions = [
        CorporateAction(day(5), ActionKind.SPLIT, 4.0),
        CorporateAction(day(5), ActionKind.DIVIDEND, 1.0),
    ]
    closes = np.full(DAYS, 100.0)
    price = factors_of(actions, labels=LABELS, closes=closes).price(LABELS)
    assert price[4] == pytest.approx(0.25 * 0.96)
    assert price[5] == 1


def test_everything_that_carries_a_price_is_adjusted() -> None:
    """Vwap as well; an absent volume stays absent, trades and flags stay as they are."""
    bars = Bars.build(
        ts=LABELS[:2],
        open=[70, 10],
        high=[77, 11],
        low=[63, 9],
        close=[70, 10],
        volume=[100, np.nan],
        vwap=[70, 10],
        trades=[5, 6],
    )
    factor = factors_of(
        [CorporateAction(day(1), ActionKind.SPLIT, 7.0)], labels=bars.ts, closes=bars.close
    )
    adjusted = factor.adjust(bars, labels_us=bars.ts)
    for name in ("open", "high", "low", "close", "vwap"):
        assert np.allclose(getattr(adjusted, name), [getattr(bars, name)[1]] * 2), name
    assert adjusted.volume[0] == 700
    assert np.isnan(adjusted.volume[1])
    assert adjusted.trades.tolist() == [5, 6]


def test_what_no_factor_can_do_is_refused() -> None:
    """Back to raw, weeks that hold both sides of an action, and a dividend beyond the price."""
    with pytest.raises(CannotAdjust, match="cannot be turned back"):
        check_adjustable(Timeframe.D1, basis_from=SPLIT, basis_to=RAW)
    with pytest.raises(CannotAdjust, match="adjust daily bars"):
        check_adjustable(Timeframe.W1, basis_from=RAW, basis_to=SPLIT)
    with pytest.raises(CannotAdjust, match="2020-01-06 is not smaller"):
        factors_of(
            [CorporateAction(day(5), ActionKind.DIVIDEND, 100.0)],
            labels=LABELS,
            closes=np.full(DAYS, 99.0),
        )


def test_one_provider_is_believed_and_people_correct_it() -> None:
    """Two providers may put one split on two days; both would divide twice."""
    yahoo = CorporateAction(day(5), ActionKind.SPLIT, 7.0)
    other = CorporateAction(day(6), ActionKind.SPLIT, 7.0)
    mine = CorporateAction(day(5), ActionKind.SPLIT, 4.0)
    also = CorporateAction(day(9), ActionKind.DIVIDEND, 1.0)
    told = [("yahoo", yahoo), ("alpha", other)]
    assert choose_actions(told, provider="yahoo") == (yahoo,)
    assert choose_actions(told, provider="polygon") == (other,)
    assert choose_actions([*told, ("user", mine), ("user", also)], provider="yahoo") == (mine, also)


@pytest.mark.parametrize("symbol", ["AAPL", "IBM", "MSFT"])
def test_thirteen_years_of_real_prices_agree_with_their_adjusted_close(symbol: str) -> None:
    """The source computed its adjusted close itself, from the same splits and dividends.

    It relates a dividend to the close of the ex-date instead of the one before, which for
    Microsoft's 3.08 of 2004 alone makes 0.17 %.
    """
    recording = load_recordings()[symbol]
    bars = recording.bars
    price = factors_of(recorded_actions(symbol), labels=bars.ts, closes=bars.close).price(bars.ts)
    theirs = recording.adjusted_close / recording.adjusted_close[-1] * bars.close[-1]
    assert np.allclose(bars.close * price, theirs, rtol=2.5e-3)


@pytest.mark.parametrize(
    "name",
    [
        "IBE-MC-1d-no-bad-divs",
        "4063-T-1d-bad-stock-split-fixed",
        "8TRA-DE-1d-missing-div-adjust-fixed",
        "ADIG-L-1d-bad-div-fixed",
    ],
)
def test_dividends_agree_with_the_adjusted_close_that_yahoo_computes(name: str) -> None:
    """From Madrid, Tokyo, Frankfurt and London: days adjusted for splits, to its last digit."""
    root = os.environ.get("MDC_RECORDED_DIR")
    if not root:
        pytest.skip("MDC_RECORDED_DIR is not set")
    with Path(root, "series/yfinance_repair/raw", f"{name}.csv").open() as file:
        reader = csv.DictReader(file)
        stamp = (reader.fieldnames or [])[0]
        rows = sorted(reader, key=lambda row: row[stamp])
    days = [date.fromisoformat(row[stamp][:10]) for row in rows]
    labels = np.array([date_us(one) for one in days], np.int64)
    close, theirs = (
        np.array([float(row[column]) for row in rows]) for column in ("Close", "Adj Close")
    )
    actions = [
        CorporateAction(one, ActionKind.DIVIDEND, float(row["Dividends"]))
        for one, row in zip(days, rows, strict=True)
        if float(row["Dividends"]) > 0
    ]
    assert actions
    price = factors_of(actions, labels=labels, closes=close, basis_from=SPLIT).price(labels)
    scale = theirs[-1] / close[-1]
    assert np.allclose(close * price * scale, theirs, rtol=1e-6)
