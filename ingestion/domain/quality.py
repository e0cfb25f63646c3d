"""Validation of fetched bars: good rows go on, bad ones are set aside with a reason."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.expectation import Expectation
from ingestion.domain.windows import Window
from providers.bars import Bars

Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]

DEFAULT_MAX_BAD_FRACTION: Final = 0.20
# Adjusted prices of many decimals differ in the last of them; no tick is as small as this.
_ROUNDING: Final = 1e-9
# Stamps that a datetime can hold: years 1 to 9999.
_EARLIEST_US: Final = -62_135_596_800_000_000
_LATEST_US: Final = 253_402_300_800_000_000


class Reason(enum.StrEnum):
    """Name why a row was set aside; where several apply, the first in this order is given.

    `empty_row` has no price and no volume at all: a placeholder by which some providers say that
    nothing traded.
    """

    BAD_STAMP = "bad_stamp"
    OUTSIDE_WINDOW = "outside_window"
    OFF_GRID = "off_grid"
    EMPTY_ROW = "empty_row"
    MISSING_VALUE = "missing_value"
    NON_FINITE = "non_finite"
    PRICE_NOT_POSITIVE = "price_not_positive"
    NEGATIVE = "negative"
    OHLC = "ohlc"
    DUPLICATE_CONFLICT = "duplicate_conflict"


_REASONS: Final = tuple(Reason)
_UNSTORABLE: Final = frozenset(
    {
        Reason.BAD_STAMP,
        Reason.OUTSIDE_WINDOW,
        Reason.EMPTY_ROW,
        Reason.MISSING_VALUE,
        Reason.NON_FINITE,
        Reason.DUPLICATE_CONFLICT,
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """Hold what validation made of a batch: each row is good, bad, collapsed or outside hours.

    `good` is ascending and unique by (ts, sequence), with `final` decided. `bad_rows` are indexes
    into the input, ascending, each with its entry in `reasons`. `collapsed` counts repetitions of
    identical rows, `outside_hours` sound rows of a part of the day that the series does not hold,
    `out_of_order` how often the input stepped back. `failed` says in one sentence why the batch as
    a whole must not be stored; None where it may.
    """

    good: Bars
    bad_rows: Rows
    reasons: list[Reason]
    failed: str | None
    collapsed: int
    out_of_order: int
    outside_hours: int = 0


def validate(
    bars: Bars,
    *,
    window: Window,
    expectation: Expectation,
    as_of_us: int,
    finality_delay_us: int,
    minimum_bars: int = 0,
    max_bad_fraction: float = DEFAULT_MAX_BAD_FRACTION,
    allow_negative_prices: bool = False,
    extended: Expectation | None = None,
    strict: bool = True,
) -> Verdict:
    """Judge every row of one fetched batch.

    `as_of_us` is when the answer was received: a bar is final once its end lies at least
    `finality_delay_us` before that and the provider did not call it forming. Rows in any order
    are accepted. Empty rows count as bad only in a batch without a single good row. Rows that only
    the `extended` hours of the same days accept are left out and counted. Unless `strict`, only
    what no table can hold is refused, and no batch fails as a whole.
    """
    clean = _clean(bars, allow_negative_prices=allow_negative_prices)
    steps = np.diff(bars.ts)
    outside_hours = 0
    if clean.all() and (steps > 0).all() and _stamps_fit(bars, window, expectation):
        good, bad_rows, reasons = bars, np.empty(0, np.intp), list[Reason]()
        collapsed = 0
    else:
        codes = _reason_codes(
            bars,
            clean=clean,
            window=window,
            expectation=expectation,
            allow_negative_prices=allow_negative_prices,
            strict=strict,
        )
        elsewhere = _outside_hours(bars, codes, expectation=expectation, extended=extended)
        outside_hours = int(np.count_nonzero(elsewhere))
        kept = _deduplicate(bars, codes, considered=~elsewhere)
        good = bars.take(kept)
        bad_rows = np.flatnonzero((codes > 0) & ~elsewhere)
        reasons = [_REASONS[code - 1] for code in codes[bad_rows].tolist()]
        collapsed = len(bars) - len(kept) - len(bad_rows) - outside_hours
    return Verdict(
        good=_with_final(good, expectation, settled_us=as_of_us - finality_delay_us),
        bad_rows=bad_rows,
        reasons=reasons,
        failed=_failure(
            good=len(good),
            collapsed=collapsed,
            reasons=reasons,
            minimum_bars=minimum_bars,
            max_bad_fraction=max_bad_fraction,
        )
        if strict
        else None,
        collapsed=collapsed,
        out_of_order=int(np.count_nonzero(steps < 0)),
        outside_hours=outside_hours,
    )


def _clean(bars: Bars, *, allow_negative_prices: bool) -> Mask:
    """Tell which rows have sound values; a NaN price fails every comparison."""
    low, high = bars.low, bars.high
    floor = -np.inf if allow_negative_prices else 0.0
    clean: Mask = (low > floor) & (high < np.inf)
    if allow_negative_prices:
        # Where prices may cross zero, a row of nothing but zeros is still a placeholder.
        clean &= (low != 0) | (high != 0)
    for price in (bars.open, bars.close):
        clean &= low <= price
        clean &= price <= high
    clean &= ~((bars.volume < 0) | (bars.volume == np.inf))
    clean &= ~((bars.vwap < floor) | np.isinf(bars.vwap))
    clean &= bars.trades >= -1
    return clean


def _stamps_fit(bars: Bars, window: Window, expectation: Expectation) -> bool:
    """Tell whether ascending stamps all lie in the window and on the grid."""
    if not len(bars):
        return True
    inside = bars.ts[0] >= window.start_us and bars.ts[-1] < window.end_us
    return bool(inside and expectation.on_grid(bars.ts).all())


def _reason_codes(
    bars: Bars,
    *,
    clean: Mask,
    window: Window,
    expectation: Expectation,
    allow_negative_prices: bool,
    strict: bool,
) -> NDArray[np.uint8]:
    """Return per row 0, or 1 + the position of its reason in Reason."""
    ts = bars.ts
    faults: dict[Reason, Mask] = {
        Reason.BAD_STAMP: (ts < _EARLIEST_US) | (ts >= _LATEST_US),
        Reason.OUTSIDE_WINDOW: (ts < window.start_us) | (ts >= window.end_us),
        Reason.OFF_GRID: ~expectation.on_grid(ts),
    }
    if not clean.all():
        faults |= value_faults(bars, allow_negative_prices=allow_negative_prices)
    codes = np.zeros(len(bars), np.uint8)
    for code, reason in reversed(list(enumerate(_REASONS, start=1))):
        if reason in faults and (strict or reason in _UNSTORABLE):
            codes[faults[reason]] = code
    return codes


def _outside_hours(
    bars: Bars,
    codes: NDArray[np.uint8],
    *,
    expectation: Expectation,
    extended: Expectation | None,
) -> Mask:
    """Tell which rows lie before or after the hours of the series, and are sound otherwise."""
    if extended is None:
        return np.zeros(len(bars), np.bool_)
    elsewhere: Mask = (codes == 0) | (codes == 1 + _REASONS.index(Reason.OFF_GRID))
    elsewhere &= ~expectation.on_grid(bars.ts) & extended.on_grid(bars.ts)
    return elsewhere


def value_faults(bars: Bars, *, allow_negative_prices: bool) -> dict[Reason, Mask]:
    """Tell, by reason, which rows cannot be bars whatever their stamps."""
    prices = np.stack((bars.open, bars.high, bars.low, bars.close))
    absent = np.isnan(prices)
    others = np.stack((bars.volume, bars.vwap))
    negative = (bars.volume < 0) | (bars.trades < -1)
    return {
        Reason.EMPTY_ROW: absent.all(axis=0) & (np.isnan(bars.volume) | (bars.volume == 0)),
        Reason.MISSING_VALUE: absent.any(axis=0),
        Reason.NON_FINITE: np.isinf(prices).any(axis=0) | np.isinf(others).any(axis=0),
        Reason.PRICE_NOT_POSITIVE: (prices == 0).all(axis=0)
        if allow_negative_prices
        else (prices <= 0).any(axis=0),
        Reason.NEGATIVE: negative if allow_negative_prices else negative | (bars.vwap < 0),
        Reason.OHLC: (
            (prices > bars.high * (1 + _ROUNDING * np.sign(bars.high))).any(axis=0)
            | (prices < bars.low * (1 - _ROUNDING * np.sign(bars.low))).any(axis=0)
        ),
    }


def _deduplicate(bars: Bars, codes: NDArray[np.uint8], *, considered: Mask) -> Rows:
    """Return the rows to keep in key order; marks contradicting repetitions in `codes`."""
    rows = np.flatnonzero((codes == 0) & considered)
    rows = rows[np.lexsort((bars.sequence[rows], bars.ts[rows]))]
    ts, sequence = bars.ts[rows], bars.sequence[rows]
    repeated = np.zeros(len(rows), np.bool_)
    repeated[1:] = (ts[1:] == ts[:-1]) & (sequence[1:] == sequence[:-1])
    if not repeated.any():
        return rows
    firsts = np.flatnonzero(~repeated)
    group = np.cumsum(~repeated) - 1
    contradicts = np.zeros(len(firsts), np.bool_)
    contradicts[group[_differ(bars, rows, rows[firsts[group]])]] = True
    codes[rows[contradicts[group]]] = 1 + _REASONS.index(Reason.DUPLICATE_CONFLICT)
    return rows[firsts[~contradicts]]


def _differ(bars: Bars, left: Rows, right: Rows) -> Mask:
    """Compare values row by row; two absent values are equal."""
    differ: Mask = bars.trades[left] != bars.trades[right]
    for column in (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.vwap):
        mine, theirs = column[left], column[right]
        differ |= (mine != theirs) & ~(np.isnan(mine) & np.isnan(theirs))
    return differ


def _with_final(good: Bars, expectation: Expectation, *, settled_us: int) -> Bars:
    """Clear `final` on bars that were not over, or may still move, at `settled_us`."""
    if not len(good) or expectation.bar_ends(good.ts[-1:])[0] <= settled_us:
        return good
    return replace(good, final=good.final & (expectation.bar_ends(good.ts) <= settled_us))


def _failure(
    *, good: int, collapsed: int, reasons: list[Reason], minimum_bars: int, max_bad_fraction: float
) -> str | None:
    """Say why the batch fails; placeholders are no evidence once real bars stand beside them."""
    counts = Counter(reasons)
    if good:
        counts.pop(Reason.EMPTY_ROW, None)
    bad = counts.total()
    judged = good + collapsed + bad
    if bad > max_bad_fraction * judged:
        worst = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
        return (
            f"{bad} of {judged} rows are bad ({bad / judged:.0%}, at most {max_bad_fraction:.0%} "
            f"may be): {worst}; see the quarantine for their raw values"
        )
    if good < minimum_bars:
        return f"only {good} good bars arrived where at least {minimum_bars} are required"
    return None
