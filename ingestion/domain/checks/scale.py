"""How much the prices of a series usually move, near a given bar: a robust, local scale."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Rows = NDArray[np.intp]

# So many moves on either side. About a quarter of a year of sessions or two hours of minutes: long
# enough for a quantile, short enough to follow a change of volatility.
REACH: Final = 60
# Quantiles of |x| of a normal distribution, in standard deviations. The upper one keeps heavy tails
# from looking odd, and stands one bar in fifteen that is; the high one serves where more than half
# of the moves are zero, as in thin markets.
_MEDIAN_SIGMAS: Final = 0.6745
_UPPER, _UPPER_SIGMAS = 0.8, 1.2816
_HIGH, _HIGH_SIGMAS = 0.9, 1.6449
# Of fewer moves nothing is known; then they are taken for those of a wild share.
_FEW: Final = 20
_SCALE_OF_FEW: Final = 0.03
_LEAST: Final = 1e-6
_AT_ONCE: Final = 8_192


def local_scale(moves: Values, at: Rows, until: Rows) -> Values:
    """Return a standard deviation of the moves around each pair of indexes `at`, `until`.

    It is the larger of the two robust estimates from the median (Rousseeuw and Croux, 1993) and
    from an upper quantile of the absolute moves. The moves in question themselves are left out.
    """
    parts = [
        _of_rows(moves, at[first : first + _AT_ONCE], until[first : first + _AT_ONCE])
        for first in range(0, len(at), _AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def _of_rows(moves: Values, at: Rows, until: Rows) -> Values:
    size = min(len(moves), 2 * REACH + 1)
    starts = np.clip((at + until) // 2 - REACH, 0, len(moves) - size)
    places = starts[:, None] + np.arange(size)
    window = np.abs(moves[places])
    window[(places == at[:, None]) | (places == until[:, None])] = 0.0
    middle, upper = size // 2, min(size - 1, int(_UPPER * size))
    high = min(size - 1, int(_HIGH * size))
    window.partition((middle, upper, high), axis=1)
    scale = np.maximum(window[:, middle] / _MEDIAN_SIGMAS, window[:, upper] / _UPPER_SIGMAS)
    scale = np.where(window[:, middle] > 0, scale, window[:, high] / _HIGH_SIGMAS)
    return np.asarray(np.maximum(scale, _SCALE_OF_FEW if size < _FEW else _LEAST), np.float64)
