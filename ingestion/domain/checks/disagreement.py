"""Two providers of one instrument that do not tell the same: other levels, stamps or prices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.checks.evidence import bounded, moment, number
from ingestion.domain.checks.found import Found
from ingestion.domain.checks.stretch import Stretch, true_runs
from ingestion.domain.findings import Check, Severity
from providers.bars import Bars

Values = NDArray[np.float64]
Rows = NDArray[np.intp]

# Closes of two providers differ by the last print that each counts: a few hundredths of a percent,
# in thin shares a few tenths. Nobody honest is further off than this for a whole bar.
_TOLERANCE: Final = 0.02
# And not by so many of the usual differences between these two.
_SCALES: Final = 8.0
# Half of all bars off by more than this is another level: a currency, a share class, a basis.
_LEVEL: Final = 0.01
_FEW: Final = 30
# Bars are said to be shifted where so many more equal their neighbour's than their own.
_SHIFTED: Final = 0.5
_OFFSETS: Final = (-1, 1)
_EQUAL: Final = 1e-9
_PAIRS_SHOWN: Final = 6


def find_disagreements(stretch: Stretch, peer: Bars, *, named: Mapping[str, Any]) -> list[Found]:
    """Return where the closes of a stretch contradict those of a peer over the stamps of both.

    `named` says in the evidence who the peer is. A constant ratio, or stamps off by a bar, is one
    finding over the whole overlap.
    """
    mine, theirs = _common(stretch, peer)
    if not len(mine):
        return []
    own = np.log(stretch.bars.close[mine])
    other = np.log(peer.close[theirs])
    offset = _offset(own, other) if len(mine) >= _FEW else 0
    if offset:
        return [_overall(stretch, mine, named, {"shape": "shifted", "bars": offset})]
    apart = own - other
    level = float(np.median(apart))
    if abs(level) > _LEVEL and len(mine) >= _FEW:
        return [
            _overall(stretch, mine, named, {"shape": "level", "ratio": number(math.exp(level))})
        ]
    wide = np.abs(apart - level)
    scale = max(float(np.median(wide)) / 0.6745, float(np.quantile(wide, 0.9)) / 1.6449)
    limit = max(_TOLERANCE, _SCALES * scale) if len(mine) >= _FEW else _TOLERANCE
    found = []
    for first, last in true_runs(np.abs(apart) > limit):
        if stretch.is_judged(int(mine[first]), int(mine[last])):
            start_us, end_us = stretch.span(int(mine[first]), int(mine[last]))
            rows = np.arange(first, last + 1)[:_PAIRS_SHOWN]
            evidence = {
                **named,
                "shape": "closes",
                "tolerance": number(limit),
                "bars_affected": last - first + 1,
                "largest": number(float(np.expm1(np.abs(apart[first : last + 1]).max()))),
                "closes": [
                    [
                        moment(int(stretch.bars.ts[mine[row]])),
                        number(float(stretch.bars.close[mine[row]])),
                        number(float(peer.close[theirs[row]])),
                    ]
                    for row in rows
                ],
            }
            found.append(Found(Check.DISAGREEMENT, Severity.WARNING, start_us, end_us, evidence))
    return bounded(found)


def _common(stretch: Stretch, peer: Bars) -> tuple[Rows, Rows]:
    """Return the indexes of the bars that both have, with positive closes."""
    _, mine, theirs = np.intersect1d(
        stretch.bars.ts, peer.ts, assume_unique=True, return_indices=True
    )
    positive = (stretch.bars.close[mine] > 0) & (peer.close[theirs] > 0)
    return mine[positive], theirs[positive]


def _offset(own: Values, other: Values) -> int:
    """Return by how many bars the own series lags; 0 where it does not."""
    together = _share_equal(own, other)
    for offset in _OFFSETS:
        ahead = max(0, offset)
        behind = max(0, -offset)
        count = len(own) - 1
        shifted = _share_equal(own[ahead : ahead + count], other[behind : behind + count])
        if shifted > together + _SHIFTED:
            return offset
    return 0


def _share_equal(own: Values, other: Values) -> float:
    return float(np.mean(np.abs(own - other) < _EQUAL))


def _overall(
    stretch: Stretch, mine: Rows, named: Mapping[str, Any], evidence: Mapping[str, Any]
) -> Found:
    start_us, end_us = stretch.span(int(mine[0]), int(mine[-1]))
    counted = {**named, **evidence, "bars_affected": len(mine)}
    return Found(Check.DISAGREEMENT, Severity.ERROR, start_us, end_us, counted)
