"""Sessions that lack: all of their bars (gaps), or more of them than thin trading explains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.checks.evidence import bounded, moment, number
from ingestion.domain.checks.found import Found
from ingestion.domain.checks.lengths import unusual_length
from ingestion.domain.checks.stretch import Mask, Rows, Stamps, Stretch, true_runs
from ingestion.domain.coverage import Ranges
from ingestion.domain.findings import Check, Severity
from ingestion.domain.gaps import Gap, GapKind
from ingestion.domain.grid import runs
from ingestion.domain.judgement import without_bars
from providers.types import Timeframe

# A hole of fewer bars is never reported: single minutes without a trade are no fault of the data.
# In the recorded minutes a limit of two would do as well.
_LEAST_HOLE: Final = {Timeframe.M1: 3, Timeframe.M5: 2}
_LEAST_OTHERWISE: Final = 1
# A session with less than half of the usual share of its bars is too thin, if that share promises
# enough bars to tell.
_TOO_THIN: Final = 0.5
_ENOUGH: Final = 20
# So many sessions are as good as this one; of fewer, nothing is usual yet.
_QUANTILE: Final = 0.75
# A time of the session at which bars are there in fewer than half of three or more sessions is none
# at which this series has bars.
_RULE: Final = 3
_SELDOM: Final = 0.5
_HOLES_SHOWN: Final = 10
_MOSTLY: Final = 0.5


def find_empty_sessions(stretch: Stretch, gaps: Sequence[Gap], *, awaited: Ranges) -> list[Found]:
    """Return gaps that coverage tells of, and sessions that it calls loaded but have no bar.

    What was never asked for is worth a note where bars lie after it and nobody is about to ask,
    `awaited` being what somebody is.
    """
    found = [
        Found(
            Check.GAP,
            _SEVERITIES[gap.kind],
            gap.start,
            gap.end,
            {"kind": gap.kind.value, "sessions": gap.units},
        )
        for gap in gaps
        if _overlaps(stretch.judged, gap.start, gap.end)
        and (gap.kind is not GapKind.UNKNOWN or _is_interior(gap, stretch, awaited))
    ]
    return bounded(sorted([*found, *_emptied(stretch)], key=lambda one: one.start_us))


_SEVERITIES: Final = {
    GapKind.UNKNOWN: Severity.NOTE,
    GapKind.MISSING: Severity.WARNING,
    GapKind.REFUSED: Severity.ERROR,
    GapKind.FAILED: Severity.ERROR,
}


def _overlaps(ranges: Ranges, start_us: int, end_us: int) -> bool:
    return bool(len(ranges.clip(start_us, end_us)))


def _is_interior(gap: Gap, stretch: Stretch, awaited: Ranges) -> bool:
    later = len(stretch.claimed) and int(stretch.claimed.ends[-1]) > gap.end
    return bool(later) and not _overlaps(awaited, gap.start, gap.end)


def _emptied(stretch: Stretch) -> list[Found]:
    """Find sessions inside of what is loaded that have no bar all the same."""
    units = stretch.expectation.units
    kept = [
        slice(
            int(np.searchsorted(units.starts, start)),
            int(np.searchsorted(units.ends, end, side="right")),
        )
        for start, end in stretch.claimed.intersect(stretch.judged)
    ]
    found = []
    for rows in kept:
        if rows.start >= rows.stop:
            continue
        inside = units.take(rows)
        for first, last in true_runs(without_bars(inside, stretch.bars.ts)):
            found.append(
                Found(
                    Check.GAP,
                    Severity.ERROR,
                    int(inside.starts[first]),
                    int(inside.ends[last]),
                    {"kind": "emptied", "sessions": last - first + 1},
                )
            )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Promised:
    """Hold the promised stamps of a stretch, whether each has its bar, and its session's place."""

    stamps: Stamps
    present: Mask
    firsts: Rows
    lasts: Rows

    @property
    def counts(self) -> NDArray[np.int64]:
        return self.lasts - self.firsts + 1

    def shares(self) -> NDArray[np.float64]:
        """Return per session which share of its bars is there."""
        total = np.concatenate(([0], np.cumsum(self.present)))
        there = total[self.lasts + 1] - total[self.firsts]
        return np.asarray(there / self.counts, np.float64)


def find_partial_sessions(stretch: Stretch) -> list[Found]:
    """Return sessions with a hole, or with far fewer bars than is usual, of intraday series.

    A session is measured against the others in the stretch by its share of the bars that it was
    promised, so that half days and whole days compare. Sessions without any bar are gaps.
    """
    if not stretch.expectation.timeframe.is_intraday or not len(stretch.bars):
        return []
    promised = _promised(stretch)
    shares = promised.shares()
    with_bars = shares > 0
    if not with_bars.any():
        return []
    absent = float(np.quantile(1 - shares[with_bars], _QUANTILE, method="lower"))
    usual = float(np.median(shares[with_bars]))
    found = []
    for row in np.flatnonzero(with_bars & (shares < 1)).tolist():
        first, last = int(promised.firsts[row]), int(promised.lasts[row])
        start, end = int(promised.stamps[first]), int(promised.stamps[last]) + 1
        if not _overlaps(stretch.judged, start, end):
            continue
        holes = _holes(stretch, promised, first, last, absent=absent)
        thin = shares[row] < _TOO_THIN * usual and usual * (last - first + 1) >= _ENOUGH
        if holes or thin:
            found.append(_partial(stretch, promised, (first, last), holes, usual=usual))
    return bounded(found)


def _promised(stretch: Stretch) -> _Promised:
    """List what should be there: the promised stamps of the claimed part of the stretch."""
    bars, expectation = stretch.bars, stretch.expectation
    claimed = stretch.claimed.clip(int(bars.ts[0]), int(bars.ts[-1]) + 1)
    claimed = claimed.union(_reaching(stretch))
    parts = [expectation.promised.stamps(start, end) for start, end in claimed]
    stamps = np.concatenate(parts) if parts else np.empty(0, np.int64)
    at = np.minimum(np.searchsorted(bars.ts, stamps), len(bars) - 1)
    present = np.asarray(bars.ts[at] == stamps, np.bool_)
    owner = np.searchsorted(expectation.units.starts, stamps, side="right") - 1
    usual = _usually_there(
        (stamps - expectation.units.starts[owner]) // expectation.promised.step, present
    )
    firsts, lasts = runs(owner[usual])
    return _Promised(stamps[usual], present[usual], firsts, lasts)


def _usually_there(places: Stamps, present: Mask) -> Mask:
    """Tell of each stamp whether the series has bars at that time of the session as a rule.

    An index may end a quarter of an hour before the futures on it do, every day.
    """
    if not len(places):
        return present
    times = np.bincount(places)
    there = np.bincount(places, weights=present)
    ruled_out = (times >= _RULE) & (there < times * _SELDOM)
    return np.asarray(~ruled_out[places], np.bool_)


def _reaching(stretch: Stretch) -> Ranges:
    """Return the claimed part of the judged windows: its edges may lack bars too."""
    return stretch.claimed.intersect(stretch.judged)


def _holes(
    stretch: Stretch, promised: _Promised, first: int, last: int, *, absent: float
) -> list[tuple[int, int]]:
    """Return index ranges of stamps without bars in one session that chance does not explain."""
    lacking = ~promised.present[first : last + 1]
    least = _LEAST_HOLE.get(stretch.expectation.timeframe, _LEAST_OTHERWISE)
    found = []
    for begin, end in true_runs(lacking):
        size = end - begin + 1
        if size < least:
            continue
        own = (int(lacking.sum()) - size) / max(1, len(lacking) - size)
        if size >= unusual_length(share=max(absent, own), count=len(promised.stamps)):
            found.append((first + begin, first + end))
    return found


def _partial(
    stretch: Stretch,
    promised: _Promised,
    session: tuple[int, int],
    holes: list[tuple[int, int]],
    *,
    usual: float,
) -> Found:
    first, last = session
    step = stretch.expectation.promised.step
    expected = last - first + 1
    there = int(promised.present[first : last + 1].sum())
    evidence: dict[str, Any] = {
        "expected": expected,
        "bars": there,
        "usual_share": number(usual),
        "holes": [
            [moment(int(promised.stamps[begin])), moment(int(promised.stamps[end]) + step)]
            for begin, end in holes[:_HOLES_SHOWN]
        ],
        "where": sorted({_where(one, session) for one in holes}) or ["throughout"],
    }
    if len(holes) > _HOLES_SHOWN:
        evidence["more_holes"] = len(holes) - _HOLES_SHOWN
    severity = Severity.ERROR if there < math.floor(_MOSTLY * expected) else Severity.WARNING
    start, end = int(promised.stamps[first]), int(promised.stamps[last]) + step
    return Found(Check.PARTIAL_SESSION, severity, start, end, evidence)


def _where(hole: tuple[int, int], session: tuple[int, int]) -> str:
    if hole[0] == session[0]:
        return "begin"
    return "end" if hole[1] == session[1] else "middle"
