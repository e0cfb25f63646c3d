"""Tell a change of basis from a revision, by the ratio of what is sent to what is stored.

A provider of adjusted prices restates its history at a split or dividend: all bars before the
ex-date move by one factor. A correction moves single bars, each by its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from providers.bars import Bars

# So many bars before a window are asked for along with it: half as many again as the sessions by
# which providers are seen to be late with a restatement.
OVERLAP_BARS: Final = 10
# Fewer equal ratios may be a coincidence.
LEAST_BARS: Final = 3
# Single-precision figures, computed on in single precision, differ by less than this.
_FLOAT_NOISE: Final = 2e-6
_MOST_DECIMALS: Final = 8
# Of the bars that moved, so many must have moved alike: one may have been corrected as well.
_ALIKE: Final = 0.8

Prices = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rebase:
    """Say by which factor prices have moved, and on how many bars in [first_us, last_us] it shows.

    The price sent is the price stored times `ratio`.
    """

    ratio: float
    bars: int
    first_us: int
    last_us: int


def find_rebase(stored: Bars, sent: Bars) -> Rebase | None:
    """Compare bars of the same stamps, ascending; None where nothing moved, or not alike.

    A change of basis shows as one ratio off 1, beyond what rounding explains, over at least
    LEAST_BARS bars: from the first one compared up to the last one that differs at all. Bars with
    prices that are not positive have no ratio and are left out.
    """
    before, after = _prices(stored), _prices(sent)
    sound = ((before > 0) & (after > 0)).all(axis=1)
    ts, before, after = sent.ts[sound], before[sound], after[sound]
    if len(ts) < LEAST_BARS:
        return None
    ratios = after / before
    tolerance = _rounding(before) + _rounding(after) + _FLOAT_NOISE
    moved = np.asarray((np.abs(ratios - 1) > tolerance).any(axis=1))
    if np.count_nonzero(moved) < LEAST_BARS:
        return None
    older = slice(0, int(np.flatnonzero(moved)[-1]) + 1)
    ratios, tolerance = ratios[older], tolerance[older]
    # The half that rounding blurs least says the ratio, no worse than its worst.
    blur = float(np.median(tolerance))
    ratio = float(np.median(ratios[tolerance <= blur]))
    alike = (np.abs(ratios / ratio - 1) <= tolerance + blur).all(axis=1) & moved[older]
    count = int(np.count_nonzero(alike))
    if count < LEAST_BARS or count < _ALIKE * len(alike):
        return None
    shown = ts[older][alike]
    return Rebase(ratio=ratio, bars=count, first_us=int(shown[0]), last_us=int(shown[-1]))


def _prices(bars: Bars) -> Prices:
    return np.stack((bars.open, bars.high, bars.low, bars.close), axis=1)


def _rounding(prices: Prices) -> Prices:
    """Return per price, relative to it, how far rounding to the decimals in use may have moved it.

    The decimals in use are the fewest by which all prices can be written.
    """
    for decimals in range(_MOST_DECIMALS + 1):
        if (np.abs(prices - prices.round(decimals)) <= prices * _FLOAT_NOISE / 4).all():
            half: Prices = 0.5 * 10.0**-decimals / prices
            return half
    return np.zeros_like(prices)
