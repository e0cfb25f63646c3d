"""Find the expected sessions that are neither loaded nor explained."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation, Units
from ingestion.domain.windows import Window

_UNKNOWN, _MISSING, _FAILED = range(3)


class GapKind(enum.StrEnum):
    """Say why a gap is one: never asked (or not yet), asked in vain, or out of tries."""

    UNKNOWN = "unknown"
    MISSING = "missing"
    FAILED = "failed"


_KINDS = (GapKind.UNKNOWN, GapKind.MISSING, GapKind.FAILED)


@dataclass(frozen=True, slots=True)
class Gap:
    """Hold neighbouring units of one kind; `start` and `end` are µs in stamp space, half-open."""

    start: int
    end: int
    units: int
    kind: GapKind


@dataclass(frozen=True, slots=True)
class Evidence:
    """Hold what is known of one series.

    `proofs` are all unexpired empty proofs, `not_listed` those among them that say the instrument
    did not exist; `missing` was asked in vain once, `failed` lies in dead slices.
    """

    loaded: Ranges
    proofs: Ranges
    not_listed: Ranges
    missing: Ranges
    failed: Ranges


@dataclass(frozen=True, slots=True)
class GapReport:
    """Count the units of a window; `expected` is the sum of `loaded`, `explained`, `lacking`."""

    expected: int
    loaded: int
    explained: int
    gaps: tuple[Gap, ...]

    @property
    def lacking(self) -> int:
        """Return how many expected units lie in gaps."""
        return sum(gap.units for gap in self.gaps)


def find_gaps(
    expectation: Expectation, *, window: Window, evidence: Evidence, now_us: int
) -> GapReport:
    """Judge every unit of the window that is over by `now_us`.

    A unit that lies wholly before the listing is not expected. The window is cut to what the
    venue's calendar knows.
    """
    units = _finished_units(expectation, window=window, now_us=now_us)
    unlisted = _inside(units, evidence.not_listed)
    loaded = _inside(units, evidence.loaded) & ~unlisted
    settled = _inside(units, evidence.loaded.union(evidence.proofs)) | unlisted
    return GapReport(
        expected=int((~unlisted).sum()),
        loaded=int(loaded.sum()),
        explained=int((settled & ~loaded & ~unlisted).sum()),
        gaps=_group(units, lacking=~settled, evidence=evidence),
    )


def _finished_units(expectation: Expectation, *, window: Window, now_us: int) -> Units:
    known = expectation.sessions
    start = max(window.start_us, known.known_from)
    end = min(window.end_us, known.known_until)
    units = expectation.units_between(start, end)
    over_at = units.ends
    if not expectation.timeframe.is_intraday:
        over_at = expectation.bar_ends(units.starts)
    return units.take(over_at <= now_us)


def _inside(units: Units, ranges: Ranges) -> NDArray[np.bool_]:
    """Tell for each unit whether one interval holds all of it."""
    if not len(ranges) or not len(units):
        return np.zeros(len(units), np.bool_)
    at = np.searchsorted(ranges.starts, units.starts, side="right") - 1
    return (at >= 0) & (ranges.ends[np.maximum(at, 0)] >= units.ends)


def _touched(units: Units, ranges: Ranges) -> NDArray[np.bool_]:
    """Tell for each unit whether some interval overlaps it."""
    first = np.searchsorted(ranges.ends, units.starts, side="right")
    return first < np.searchsorted(ranges.starts, units.ends, side="left")


def _group(units: Units, *, lacking: NDArray[np.bool_], evidence: Evidence) -> tuple[Gap, ...]:
    """Join lacking units that follow each other without a settled one between."""
    kinds = np.full(len(units), _UNKNOWN)
    kinds[_touched(units, evidence.missing)] = _MISSING
    kinds[_touched(units, evidence.failed)] = _FAILED
    rows = np.flatnonzero(lacking)
    if not len(rows):
        return ()
    breaks = (np.diff(rows) != 1) | (np.diff(kinds[rows]) != 0)
    firsts = np.concatenate(([0], np.flatnonzero(breaks) + 1))
    lasts = np.append(firsts[1:], len(rows)) - 1
    return tuple(
        Gap(
            start=int(units.starts[rows[first]]),
            end=int(units.ends[rows[last]]),
            units=int(last - first + 1),
            kind=_KINDS[int(kinds[rows[first]])],
        )
        for first, last in zip(firsts, lasts, strict=True)
    )
