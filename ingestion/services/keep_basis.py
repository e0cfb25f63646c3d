"""Set aside answers whose prices stand on another basis than what is stored beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from django.db import connection

from ingestion.domain.basis import Rebase, find_rebase
from ingestion.domain.windows import Window, from_us
from ingestion.services.fetch_slice import Fetched
from ingestion.services.rebase_series import rebase_series
from ingestion.store import slices
from ingestion.store.bars import lock_series
from ingestion.store.rebasing import loaded_bars
from providers.bars import Bars
from providers.types import Adjustment

# The oldest bars of a refetched window show a re-base as surely as all of them.
_ENOUGH: Final = 20


@dataclass(frozen=True, slots=True)
class Parted:
    """Hold the answers that may be written, and those that may not, each with what was seen."""

    sound: list[Fetched]
    rebased: list[tuple[Fetched, Rebase]]


def part_rebased(fetched: Sequence[Fetched]) -> Parted:
    """Compare answers of adjusted prices with what is loaded, in the finishing transaction.

    Of a series of which one answer shows another basis none is written: they belong together. The
    series are locked before anything is read, and all at once, as the writer does.
    """
    compared = {id(one): _bars_to_compare(one) for one in fetched}
    if not any(len(bars) for bars in compared.values()):
        return Parted(sound=list(fetched), rebased=[])
    lock_series(connection, [one.claimed.series_id for one in fetched])
    stamps: dict[int, list[Any]] = {}
    for one in fetched:
        stamps.setdefault(one.claimed.series_id, []).append(compared[id(one)].ts)
    stored = loaded_bars(
        {series_id: np.unique(np.concatenate(parts)) for series_id, parts in stamps.items()}
    )
    seen: dict[int, Rebase] = {}
    for one in fetched:
        series_id = one.claimed.series_id
        rebase = _compare(stored.get(series_id), compared[id(one)])
        if rebase is not None:
            seen.setdefault(series_id, rebase)
    return Parted(
        sound=[one for one in fetched if one.claimed.series_id not in seen],
        rebased=[
            (one, seen[one.claimed.series_id]) for one in fetched if one.claimed.series_id in seen
        ],
    )


def supersede(rebased: Sequence[tuple[Fetched, Rebase]], attempt_ids: Mapping[int, int]) -> None:
    """Close slices whose answers were set aside, and have each series repaired as a whole.

    `attempt_ids` are by slice. Jobs go on with other series; of these the repair does the rest.
    """
    if not rebased:
        return
    slices.supersede({one.claimed.slice_id: len(one.bars) for one, _ in rebased})
    for series_id in dict.fromkeys(one.claimed.series_id for one, _ in rebased):
        of_series = [(one, seen) for one, seen in rebased if one.claimed.series_id == series_id]
        one, seen = of_series[0]
        rebase_series(
            one.facts,
            reason=(
                f"{one.facts.provider} moved {one.facts.symbol} {one.facts.timeframe} to another"
                f" basis: prices are {seen.ratio:.6g} times what is stored"
            ),
            evidence=basis_evidence(seen),
            like=one.claimed.job_id,
            besides=Window(
                min(other.claimed.start for other, _ in of_series),
                max(other.claimed.end for other, _ in of_series),
            ),
            attempt_id=attempt_ids[one.claimed.slice_id],
        )


def basis_evidence(seen: Rebase) -> dict[str, Any]:
    """Return the numbers that show a change of basis."""
    return {
        "ratio": seen.ratio,
        "bars": seen.bars,
        "first": from_us(seen.first_us).isoformat(),
        "last": from_us(seen.last_us).isoformat(),
    }


def _bars_to_compare(one: Fetched) -> Bars:
    """Return what came beside the window, and of a refetched window its oldest bars."""
    if one.facts.adjustment is Adjustment.RAW:
        return Bars.empty()
    if not one.claimed.refetch:
        return one.beside
    both = Bars.concat([one.beside, one.bars.take(slice(0, _ENOUGH))])
    return both.take(np.argsort(both.ts, kind="stable"))


def _compare(stored: Bars | None, sent: Bars) -> Rebase | None:
    if stored is None or not len(sent):
        return None
    common, mine, theirs = np.intersect1d(stored.ts, sent.ts, return_indices=True)
    return find_rebase(stored.take(mine), sent.take(theirs)) if len(common) else None
