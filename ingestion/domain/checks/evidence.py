"""Write down what a finding rests on: plain numbers, and the bars around, ready for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from ingestion.domain.checks.found import Found
from ingestion.domain.windows import from_us
from providers.bars import Bars

_AROUND: Final = 2
_MOST_BARS: Final = 12
_DIGITS: Final = 8
# More of one kind in one stretch is one fault of the whole stretch.
MOST_FOUND: Final = 100


def moment(us: int) -> str:
    """Write a stamp as ISO 8601."""
    return from_us(us).isoformat().replace("+00:00", "Z")


def number(value: float) -> float | None:
    """Keep so many digits as a person reads; None for what is absent."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")


def bars_around(bars: Bars, first: int, last: int) -> list[list[Any]]:
    """Return [stamp, open, high, low, close, volume] of the bars in question and beside them.

    Of a long run come its beginning and its end.
    """
    rows = list(range(max(0, first - _AROUND), min(len(bars), last + 1 + _AROUND)))
    if len(rows) > _MOST_BARS:
        rows = rows[: _MOST_BARS // 2] + rows[-_MOST_BARS // 2 :]
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return [
        [moment(int(bars.ts[row])), *(number(float(column[row])) for column in columns)]
        for row in rows
    ]


def bounded(found: Sequence[Found]) -> list[Found]:
    """Keep the first findings of a kind; the last of them counts those left out."""
    kept = list(found[:MOST_FOUND])
    if len(found) > MOST_FOUND:
        last = kept[-1]
        kept[-1] = replace(
            last,
            end_us=max(one.end_us for one in found),
            evidence={**last.evidence, "more_like_this": len(found) - MOST_FOUND},
        )
    return kept
