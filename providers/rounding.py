"""Recover the number that somebody rounded."""

from __future__ import annotations

from typing import Final

_MOST_DIGITS: Final = 12


def roundest(low: float, high: float) -> float:
    """Return the number of fewest decimals in [low, high], nearest to the middle."""
    middle = (low + high) / 2
    for digits in range(_MOST_DIGITS):
        rounded = round(middle, digits)
        if low <= rounded <= high:
            return rounded
    return middle
