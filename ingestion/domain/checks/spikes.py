"""Spikes: prices that leave the level of their neighbours and come back, and unexplained jumps.

A move is the difference of the logarithms of two closes. It is measured against the local scale of
the series' moves, so that the same rule serves a currency's minutes and a small share's days, and
has a least size beside, since thin trading moves by single ticks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.checks.evidence import bars_around, bounded, number
from ingestion.domain.checks.found import Found
from ingestion.domain.checks.scale import local_scale
from ingestion.domain.checks.stretch import Mask, Stretch
from ingestion.domain.findings import Check, Severity
from providers.types import Adjustment, Timeframe

Values = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Limit:
    """Hold from when on something is found: both `scales` and `size` (of a logarithm) at least."""

    scales: float
    size: float


# Each pair leaves about one bar in fifty thousand of the recorded series of markets, and those are
# flash crashes and prints of a closed market; docs/quality.md has the counts.
#
# Away and back again within ten bars: closes do that by chance up to five scales and a half.
RETURNS: Final = Limit(scales=6.0, size=0.01)
# Before and after the session single late prints lie a percent or two beside the market.
RETURNS_OFF_HOURS: Final = Limit(scales=6.0, size=0.03)
# A single bar two fifths off is worth a look in the wildest market too.
RETURNS_WILD: Final = Limit(scales=4.0, size=math.log(1.4))
# At the beginning or end of what is stored a bar has one neighbour, and an honest jump looks alike.
EDGE: Final = Limit(scales=8.0, size=math.log(1.3))
# A high or low beyond both neighbours' closes. Lows of hourly and daily bars hold odd prints of
# several percent every other week; minutes do not.
WICK: Final = Limit(scales=10.0, size=math.log(1.25))
WICK_SHORT: Final = Limit(scales=10.0, size=0.03)
WICK_SHORT_OFF_HOURS: Final = Limit(scales=10.0, size=0.10)
# The open leaves the last close for good, by almost half: the smallest usual split. Markets do not.
JUMP: Final = Limit(scales=10.0, size=0.6)

LONGEST: Final = 10
_CERTAIN: Final = 0.2
# A long excursion keeps away by half of its size, and ends as near to where it began.
_KEPT: Final = 0.5
_SHAPES: Final = ("excursion", "edge", "wick", "jump")
_SHORT: Final = frozenset({Timeframe.M1, Timeframe.M5, Timeframe.M15, Timeframe.M30})
_SPLITS: Final = np.array([2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100], np.float64)
_LIKE_A_SPLIT: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Span:
    """Hold bars from index `first` to `last` that stand out."""

    first: int
    last: int
    shape: str
    size: float
    scales: float
    severity: Severity
    ratio: float


def find_spikes(stretch: Stretch) -> list[Found]:
    """Return excursions, spiked edges, wicks and unexplained jumps, in the order of their bars.

    Where several touch, they are one finding that tells of the largest. Only sound final bars are
    looked at.
    """
    if len(stretch.bars) < 3:
        return []
    tape = _Tape.of(stretch)
    spans = [
        *(span for width in range(1, LONGEST + 1) for span in _excursions(tape, width)),
        *_edges(tape),
        *_wicks(tape),
    ]
    inside = _inside(spans, len(tape.moves) + 1)
    spans += _jumps(tape, stretch, known=inside)
    groups = _touching(spans)
    return bounded(
        [
            _finding(stretch, group)
            for group in groups
            if stretch.is_judged(group[0].first, max(one.last for one in group))
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Tape:
    """Hold levels (logarithms of prices) and the moves between closes, splits taken out.

    `breaks` tells of each move whether it leads over a hole.
    """

    opens: Values
    highs: Values
    lows: Values
    closes: Values
    moves: Values
    breaks: Mask
    off_hours: Mask
    short: bool
    logarithmic: bool

    @classmethod
    def of(cls, stretch: Stretch) -> _Tape:
        bars = stretch.bars
        prices = (bars.open, bars.high, bars.low, bars.close)
        logarithmic = bool(np.min(bars.low) > 0 and np.min(bars.open) > 0)
        if logarithmic:
            opens, highs, lows, closes = (np.log(one) for one in prices)
        else:
            # Prices that cross zero have no logarithm; moves are shares of their usual size.
            usual = float(np.median(np.abs(bars.close))) or 1.0
            opens, highs, lows, closes = (one / usual for one in prices)
        highs = np.maximum(highs, np.maximum(opens, closes))
        lows = np.minimum(lows, np.minimum(opens, closes))
        if logarithmic:
            shift = _known_splits(stretch, closes)
            opens, highs, lows, closes = (one + shift for one in (opens, highs, lows, closes))
        return cls(
            opens=opens,
            highs=highs,
            lows=lows,
            closes=closes,
            moves=np.diff(closes),
            breaks=stretch.apart(),
            off_hours=~stretch.in_session,
            short=stretch.expectation.timeframe in _SHORT,
            logarithmic=logarithmic,
        )


def _known_splits(stretch: Stretch, closes: Values) -> Values:
    """Return what to add to each level so that known splits of a raw series leave no jump."""
    shift = np.zeros(len(closes))
    if stretch.adjustment is not Adjustment.RAW or not stretch.splits:
        return shift
    units = stretch.expectation.units
    places = np.maximum(stretch.units(), 0)
    labels = units.labels[places] if len(units) else stretch.bars.ts
    for split in stretch.splits:
        first = int(np.searchsorted(labels, split.ex_us))
        if not 0 < first < len(closes):
            continue
        jump, step = closes[first] - closes[first - 1], math.log(split.new_per_old)
        # A provider may have adjusted what it calls raw: then there is nothing to take out.
        if abs(jump + step) < abs(jump):
            shift[first:] += step
    return shift


def _excursions(tape: _Tape, width: int) -> list[_Span]:
    """Find `width` bars that leave the level before them and come back after."""
    moves, closes = tape.moves, tape.closes
    if len(moves) <= width:
        return []
    away, back = moves[:-width], moves[width:]
    size = np.minimum(np.abs(away), np.abs(back))
    least = np.where(tape.off_hours[1:-width], RETURNS_OFF_HOURS.size, RETURNS.size)
    rows = np.flatnonzero((away * back < 0) & (size >= least))
    if width > 1 and len(rows):
        inside = closes[rows[:, None] + np.arange(1, width + 1)] - closes[rows, None]
        kept = (inside * np.sign(away[rows])[:, None]).min(axis=1) > _KEPT * size[rows]
        home = np.abs(closes[rows + width + 1] - closes[rows]) < _KEPT * size[rows]
        rows = rows[kept & home]
    scales = size[rows] / local_scale(moves, rows, rows + width)
    return [
        _Span(
            first=row + 1,
            last=row + width,
            shape="excursion",
            size=float(size[row]),
            scales=float(scaled),
            severity=Severity.ERROR if size[row] >= _CERTAIN else Severity.WARNING,
            ratio=float(away[row]),
        )
        for row, scaled in zip(rows.tolist(), scales.tolist(), strict=True)
        if scaled >= RETURNS.scales or (width == 1 and _is_wild(size[row], scaled))
    ]


def _is_wild(size: float, scales: float) -> bool:
    return size >= RETURNS_WILD.size and scales >= RETURNS_WILD.scales


def _edges(tape: _Tape) -> list[_Span]:
    """Find first and last bars far from their one neighbour."""
    moves, count = tape.moves, len(tape.closes)
    holes = np.flatnonzero(tape.breaks)
    firsts = np.concatenate(([0], holes + 1))
    lasts = np.concatenate((holes, [count - 1]))
    # A bar alone between two holes has no neighbour at all.
    alone = firsts == lasts
    bars = np.concatenate((firsts[~alone], lasts[~alone]))
    inner = np.concatenate((firsts[~alone], lasts[~alone] - 1))
    size = np.abs(moves[inner])
    wide = size >= EDGE.size
    bars, inner, size = bars[wide], inner[wide], size[wide]
    scales = size / local_scale(moves, inner, inner)
    return [
        _Span(
            first=bar,
            last=bar,
            shape="edge",
            size=float(moved),
            scales=float(scaled),
            severity=Severity.WARNING,
            ratio=float(moves[move] if move < bar else -moves[move]),
        )
        for bar, move, moved, scaled in zip(
            bars.tolist(), inner.tolist(), size.tolist(), scales.tolist(), strict=True
        )
        if scaled >= EDGE.scales
    ]


def _wicks(tape: _Tape) -> list[_Span]:
    """Find highs and lows far beyond the closes on both sides and the next open."""
    before, after, opens = tape.closes[:-2], tape.closes[2:], tape.opens[2:]
    above = tape.highs[1:-1] - np.maximum(np.maximum(before, after), opens)
    below = np.minimum(np.minimum(before, after), opens) - tape.lows[1:-1]
    size = np.maximum(above, below)
    if tape.short:
        least = np.where(tape.off_hours[1:-1], WICK_SHORT_OFF_HOURS.size, WICK_SHORT.size)
        limit = WICK_SHORT.scales
    else:
        least, limit = np.full(len(size), WICK.size), WICK.scales
    rows = np.flatnonzero(size >= least)
    scales = size[rows] / local_scale(tape.moves, rows, rows + 1)
    return [
        _Span(
            first=row + 1,
            last=row + 1,
            shape="wick",
            size=float(size[row]),
            scales=float(scaled),
            severity=Severity.WARNING,
            ratio=float(above[row] if above[row] >= below[row] else -below[row]),
        )
        for row, scaled in zip(rows.tolist(), scales.tolist(), strict=True)
        if scaled >= limit
    ]


def _jumps(tape: _Tape, stretch: Stretch, *, known: Mask) -> list[_Span]:
    """Find opens that leave the last close for good, beside what is `known` to stand out."""
    if not tape.logarithmic:
        return []
    leap = tape.opens[1:] - tape.closes[:-1]
    size = np.minimum(np.abs(leap), np.abs(tape.moves))
    near = known[1:] | known[:-1]
    rows = np.flatnonzero((size >= JUMP.size) & (leap * tape.moves > 0) & ~tape.breaks & ~near)
    scales = size[rows] / local_scale(tape.moves, rows, rows)
    expected = stretch.adjustment is Adjustment.RAW
    return [
        _Span(
            first=row + 1,
            last=row + 1,
            shape="jump",
            size=float(size[row]),
            scales=float(scaled),
            severity=Severity.NOTE if expected and split_like(leap[row]) else Severity.WARNING,
            ratio=float(leap[row]),
        )
        for row, scaled in zip(rows.tolist(), scales.tolist(), strict=True)
        if scaled >= JUMP.scales
    ]


def split_like(leap: float) -> str:
    """Name the usual split that a jump of a logarithm looks like, "" where it looks like none."""
    ratio = math.exp(abs(leap))
    nearest = float(_SPLITS[np.argmin(np.abs(np.log(_SPLITS / ratio)))])
    if abs(ratio / nearest - 1) > _LIKE_A_SPLIT:
        return ""
    return f"{nearest:g}:1" if leap < 0 else f"1:{nearest:g}"


def _inside(spans: list[_Span], count: int) -> Mask:
    mask = np.zeros(count, np.bool_)
    for span in spans:
        mask[span.first : span.last + 1] = True
    return mask


def _touching(spans: list[_Span]) -> list[list[_Span]]:
    """Group spans of bars that overlap or follow each other."""
    groups: list[list[_Span]] = []
    reach = -2
    for span in sorted(spans, key=lambda one: (one.first, one.last)):
        if span.first > reach + 1:
            groups.append([])
        groups[-1].append(span)
        reach = max(reach, span.last)
    return groups


def _finding(stretch: Stretch, group: list[_Span]) -> Found:
    # A bar that is away as a whole has wild highs and lows as well.
    worst = max(group, key=lambda one: (-_SHAPES.index(one.shape), one.size))
    first, last = group[0].first, max(one.last for one in group)
    start_us, end_us = stretch.span(first, last)
    evidence: dict[str, Any] = {
        "shape": worst.shape,
        "scales": number(worst.scales),
        "ratio": number(math.exp(worst.ratio)) if abs(worst.ratio) < 100 else None,
        "usual_move": number(worst.size / worst.scales),
        "bars_affected": last - first + 1,
        "bars_around": bars_around(stretch.bars, first, last),
    }
    if worst.shape == "jump" and split_like(worst.ratio):
        evidence["looks_like_split"] = split_like(worst.ratio)
    severity = max((one.severity for one in group), key=list(Severity).index)
    return Found(Check.SPIKE, severity, start_us, end_us, evidence)
