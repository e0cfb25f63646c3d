"""Adjust prices and volumes for splits and dividends: factors per bar, pure and vectorised.

The arithmetic is the usual one of CRSP and of Yahoo's adjusted close, walking back from the last
action, whose bars keep the factor 1:

- a split of r new shares per old one divides every price before its ex-date by r and multiplies
  every volume by r;
- a cash dividend D multiplies every price before its ex-date by 1 - D / P, where P is the close of
  the last session before the ex-date in the share count of the ex-date. Volumes stay.

Sources: CRSP, "Data Definitions: Factor to Adjust Price" and Yahoo Finance help, "What is the
adjusted close?" (SLN28256).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.errors import MdcError
from providers.bars import Bars, FloatColumn
from providers.instruments import ActionKind, CorporateAction
from providers.types import Adjustment, Timeframe

Stamps = NDArray[np.int64]

# What people state themselves counts before what any provider states.
BY_PEOPLE: Final = "user"
_DAY_US: Final = 86_400_000_000
_EPOCH: Final = date(1970, 1, 1)
# Providers print dividends with six decimals after dividing them by later splits.
_SAME: Final = 1e-4
_STEPS: Final = {Adjustment.RAW: 0, Adjustment.SPLIT: 1, Adjustment.SPLIT_DIV: 2}


class CannotAdjust(MdcError):
    """Signal prices that no factor brings to the wanted basis."""


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """Hold, for ascending ex-dates (00:00Z in µs), the product of what counts from each one on.

    `values` has one more row than `days`: after the last ex-date nothing counts, which is 1.
    """

    days: Stamps
    values: FloatColumn

    @classmethod
    def of(cls, days: Stamps, each: FloatColumn) -> Products:
        """Accumulate from the last ex-date backwards."""
        return cls(days, np.append(np.cumprod(each[::-1])[::-1], 1.0))

    def after(self, labels_us: Stamps) -> FloatColumn:
        """Return, per session label, the product over the ex-dates that lie after it."""
        found: FloatColumn = self.values[np.searchsorted(self.days, labels_us, side="right")]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """Hold what brings the bars of one series to another basis; made once, used per chunk."""

    shares: Products
    cash: Products

    def price(self, labels_us: Stamps) -> FloatColumn:
        """Return what the prices of bars are multiplied by, given their sessions' labels."""
        return self.cash.after(labels_us) / self.shares.after(labels_us)

    def volume(self, labels_us: Stamps) -> FloatColumn:
        """Return what the volumes of bars are multiplied by; dividends do not touch them."""
        return self.shares.after(labels_us)

    def adjust(self, bars: Bars, *, labels_us: Stamps) -> Bars:
        """Return bars with adjusted prices, volume and vwap; everything else is as it was."""
        price = self.price(labels_us)
        return replace(
            bars,
            open=bars.open * price,
            high=bars.high * price,
            low=bars.low * price,
            close=bars.close * price,
            vwap=bars.vwap * price,
            volume=bars.volume * self.volume(labels_us),
        )


def same_value(known: float, stated: float) -> bool:
    """Tell whether two statements mean the same: providers round what they adjust for splits."""
    return abs(known - stated) <= _SAME * max(abs(known), abs(stated))


def date_us(day: date) -> int:
    """Return the stamp of a date: 00:00Z in microseconds since the epoch."""
    return (day - _EPOCH).days * _DAY_US


def choose_actions(
    stated: Iterable[tuple[str, CorporateAction]], *, provider: str
) -> tuple[CorporateAction, ...]:
    """Choose, from (provider, action) of one instrument, those that count for a provider's bars.

    One provider is believed as a whole, since two may differ by a day over the same split: the
    bars' own one if it states any action, else the first by name. What people state replaces the
    action of the same date and kind, or is added. Ascending by date.
    """
    by_provider: dict[str, dict[tuple[date, ActionKind], CorporateAction]] = {}
    for name, action in stated:
        by_provider.setdefault(name, {})[action.ex_date, action.kind] = action
    by_people = by_provider.pop(BY_PEOPLE, {})
    believed = provider if provider in by_provider else min(by_provider, default="")
    chosen = by_provider.get(believed, {}) | by_people
    return tuple(chosen[key] for key in sorted(chosen))


def check_adjustable(timeframe: Timeframe, *, basis_from: Adjustment, basis_to: Adjustment) -> None:
    """Refuse what factors cannot do; raises CannotAdjust."""
    if _STEPS[basis_from] > _STEPS[basis_to]:
        raise CannotAdjust(
            f"{basis_from} prices cannot be turned back into {basis_to} ones; "
            f"read a series that holds {basis_to} prices"
        )
    if basis_from is not basis_to and timeframe in (Timeframe.W1, Timeframe.MO1):
        raise CannotAdjust(
            f"a {timeframe} bar may hold prices from before and after an action; "
            f"adjust daily bars and resample them to {timeframe}"
        )


def dividend_dates(
    actions: Sequence[CorporateAction], *, basis_from: Adjustment, basis_to: Adjustment
) -> Stamps:
    """Return the ex-dates (00:00Z in µs, ascending) whose previous close `factors` needs."""
    if basis_to is not Adjustment.SPLIT_DIV or basis_from is Adjustment.SPLIT_DIV:
        return np.empty(0, np.int64)
    days = {date_us(one.ex_date) for one in actions if one.kind is ActionKind.DIVIDEND}
    return np.array(sorted(days), np.int64)


def factors(
    actions: Sequence[CorporateAction],
    *,
    closes_before: FloatColumn,
    close_labels_us: Stamps,
    basis_from: Adjustment,
    basis_to: Adjustment,
) -> Factors:
    """Return the factors between two bases.

    `closes_before` and `close_labels_us` belong to `dividend_dates`, one row each: the close, in
    the basis of the bars, of the last session before the ex-date, and that session's label (00:00Z
    in µs). NaN says that there is none, and then no bar is concerned.

    Raises CannotAdjust for a dividend that is not smaller than the close before it.
    """
    splits = _splits(actions)
    from_raw = basis_from is Adjustment.RAW
    days = dividend_dates(actions, basis_from=basis_from, basis_to=basis_to)
    # Both sides on the split basis, so that a split of the same day cannot come between.
    cash = _cash(actions, days) / splits.after(days)
    close = closes_before / splits.after(close_labels_us) if from_raw else closes_before
    with np.errstate(divide="ignore"):
        part = np.where(np.isnan(close), 0.0, cash / close)
    if (part >= 1).any():
        day = np.datetime64(int(days[int(np.argmax(part >= 1))]), "us").astype("M8[D]")
        raise CannotAdjust(
            f"the dividend of {day} is not smaller than the close before it; "
            "correct it with `mdc actions add`"
        )
    counted = from_raw and basis_to is not Adjustment.RAW
    return Factors(shares=splits if counted else _NOTHING, cash=Products.of(days, 1 - part))


def _splits(actions: Sequence[CorporateAction]) -> Products:
    ratios = sorted(
        (date_us(one.ex_date), one.value) for one in actions if one.kind is ActionKind.SPLIT
    )
    return Products.of(
        np.array([day for day, _ in ratios], np.int64),
        np.array([ratio for _, ratio in ratios], np.float64),
    )


def _cash(actions: Sequence[CorporateAction], days: Stamps) -> FloatColumn:
    cash = np.zeros(len(days))
    for one in actions:
        row = np.flatnonzero(days == date_us(one.ex_date))
        if one.kind is ActionKind.DIVIDEND:
            cash[row] += one.value
    return cash


_NOTHING: Final = Products.of(np.empty(0, np.int64), np.empty(0, np.float64))
