"""Choose, session by session, whose bars to believe: pure and vectorised.

A venue's time line is cut at the start of each session, so that every bar belongs to exactly one
slot: slot i reaches from the start of session i to the start of the next one. In each slot all
bars come from one candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.coverage import Ranges
from ingestion.domain.selection import Codes
from providers.bars import Bars

Stamps = NDArray[np.int64]

# Made-up prices take part only where nobody has real ones.
MADE_UP: Final = frozenset({"synthetic"})
NOBODY: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Hold one series' bars of some slots, and what of the time line is loaded of it."""

    bars: Bars
    loaded: Ranges


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Hold the bars of all slots with the candidate of each, and the candidate of each slot."""

    bars: Bars
    codes: Codes
    by_slot: Codes


def choose(candidates: Sequence[Candidate], *, starts: Stamps, ends: Stamps) -> Chosen:
    """Choose one candidate for each session [starts[i], ends[i]), ascending and disjoint.

    Of those that have any bar in its slot: one of which the whole session is loaded before others,
    then one with more bars, then the earlier candidate. Bars from before the first session are
    judged with it. A slot without bars is NOBODY's.
    """
    counts = np.stack([_count(one.bars.ts, starts) for one in candidates])
    whole = np.stack([_holds(one.loaded, starts, ends) for one in candidates])
    # One number that orders as the pair (whole, bars) does; of equal ones argmax takes the first.
    merit = counts + whole * (counts > 0) * (counts.max(initial=0) + 1)
    by_slot = np.where(counts.any(axis=0), merit.argmax(axis=0), NOBODY).astype(np.int16)
    parts = [
        one.bars.take(by_slot[slots_of(one.bars.ts, starts)] == code)
        for code, one in enumerate(candidates)
    ]
    codes = np.repeat(np.arange(len(parts), dtype=np.int16), [len(part) for part in parts])
    joined = Bars.concat(parts)
    order = np.argsort(joined.ts, kind="stable")
    return Chosen(bars=joined.take(order), codes=codes[order], by_slot=by_slot)


def slots_of(stamps: Stamps, starts: Stamps) -> NDArray[np.intp]:
    """Return the slot of each stamp."""
    return np.maximum(np.searchsorted(starts, stamps, side="right") - 1, 0)


def _count(stamps: Stamps, starts: Stamps) -> NDArray[np.int64]:
    return np.bincount(slots_of(stamps, starts), minlength=len(starts)).astype(np.int64)


def _holds(loaded: Ranges, starts: Stamps, ends: Stamps) -> NDArray[np.bool_]:
    if not len(loaded):
        return np.zeros(len(starts), np.bool_)
    at = np.searchsorted(loaded.starts, starts, side="right") - 1
    return (at >= 0) & (loaded.ends[np.maximum(at, 0)] >= ends)
