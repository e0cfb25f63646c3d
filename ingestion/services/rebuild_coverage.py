"""Rebuild coverage from the stored bars, for bars that were written by other means than a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.db import connection, transaction

from ingestion.calendars import expectation_for, sessions_for
from ingestion.domain.actor import Actor
from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation
from ingestion.domain.windows import Window, to_us
from ingestion.services.find_series import find_series
from ingestion.services.resolve_request import final_until
from ingestion.store import audit, coverage_rebuild
from ingestion.store.bars import lock_series
from ingestion.store.coverage_rebuild import CoverageState
from ingestion.store.series_reads import SeriesRow
from ingestion.store.venues import ensure_venue_sessions
from providers.types import Timeframe


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Hold what was rebuilt of one series; `sessions` have bars, `empty` lie between them."""

    series: SeriesRow
    sessions: int
    empty: int
    before: CoverageState
    after: CoverageState

    @property
    def changed(self) -> bool:
        """Tell whether coverage was another one before."""
        return self.before != self.after


def rebuild_coverage(
    *,
    now: datetime,
    actor: Actor,
    symbols: Sequence[str] = (),
    timeframes: Sequence[Timeframe] = (),
    provider: str | None = None,
    reason: str = "",
) -> tuple[Rebuilt, ...]:
    """Recompute what is loaded, series by series, each in a transaction of its own.

    From a series' first final bar to its last, sessions with bars are loaded and sessions without
    are not; nothing is loaded outside. Proofs and misses stay unless a bar disproves them, a doubt
    is settled. Raises NothingStored.
    """
    found = find_series(symbols=symbols, timeframes=timeframes, provider=provider)
    return tuple(_rebuild(one, now=now, actor=actor, reason=reason) for one in found)


@transaction.atomic
def _rebuild(series: SeriesRow, *, now: datetime, actor: Actor, reason: str) -> Rebuilt:
    ensure_venue_sessions(sessions_for(series.venue))
    lock_series(connection, [series.id])
    before = coverage_rebuild.read_state(series.id)
    bounds = coverage_rebuild.bar_bounds(series.id)
    loaded, sessions, empty = Ranges.empty(), 0, 0
    if bounds is not None:
        expectation = expectation_for(
            venue=series.venue,
            timeframe=series.timeframe,
            hours=series.hours,
            anchor=series.anchor,
        )
        loaded, sessions, empty = _loaded(series.id, expectation, bounds, now=now)
    coverage_rebuild.replace_coverage(series.id, loaded, first_us=bounds[0] if bounds else None)
    after = coverage_rebuild.read_state(series.id)
    if before != after:
        audit.record(
            actor=actor,
            action="series.rebuild_coverage",
            object_type="series",
            object_id=series.id,
            before=_shape(before),
            after=_shape(after),
            reason=reason,
        )
    return Rebuilt(series, sessions, empty, before, after)


def _loaded(
    series_id: int, expectation: Expectation, bounds: tuple[int, int], *, now: datetime
) -> tuple[Ranges, int, int]:
    """Return what is loaded, and how many sessions of it have bars and have none."""
    units = expectation.units
    inside = units.take((units.ends > bounds[0]) & (units.starts <= bounds[1]))
    if not len(inside):
        return Ranges.empty(), 0, 0
    spans = zip(inside.starts.tolist(), inside.ends.tolist(), strict=True)
    windows = [Window.of_us(start, end) for start, end in spans]
    has_bars = np.array(coverage_rebuild.sessions_have_bars(series_id, windows), np.bool_)
    settled = to_us(final_until(expectation, now=now, finality_delay=timedelta(0)))
    start, end = int(inside.starts[0]), min(int(inside.ends[-1]), settled)
    whole = Ranges.of([(start, max(start, end))])
    loaded = whole.subtract(inside.take(~has_bars).ranges())
    return loaded, int(has_bars.sum()), int((~has_bars).sum())


def _shape(state: CoverageState) -> dict[str, object]:
    loaded = state.loaded
    return {
        "spans": len(loaded),
        "from": Window.of_us(*loaded.pairs()[0]).start.isoformat() if len(loaded) else None,
        "before": Window.of_us(*loaded.pairs()[-1]).end.isoformat() if len(loaded) else None,
        "missing": state.missing,
    }
