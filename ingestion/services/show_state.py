"""Show where series stand: how far they are loaded, and what the last try brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ingestion.domain.windows import from_us
from ingestion.services.find_series import find_series
from ingestion.store import series_state
from ingestion.store.coverage import Known, read_known
from ingestion.store.series_reads import SERIES_COUNTED, SeriesRow
from ingestion.store.series_state import LastTry, StoredBars
from providers.types import Timeframe


@dataclass(frozen=True, slots=True)
class SeriesState:
    """Hold where one series stands.

    `watermark` is the exclusive end up to which it is loaded or explained without a hole, from its
    first loaded stamp on; None where nothing is loaded. `loaded_spans` counts the pieces of its
    coverage, `missing` the sessions that were looked for in vain. `doubted` means that it is
    fetched again by the next run. `bars` is None where they were not counted.
    """

    series: SeriesRow
    watermark: datetime | None
    first_bar: datetime | None
    last_bar: datetime | None
    bars: int | None
    loaded_spans: int
    doubted: bool
    missing: int
    last_attempt_at: datetime | None
    last_outcome: str
    last_error: str
    open_jobs: tuple[int, ...]


def show_state(
    *,
    symbols: Sequence[str] = (),
    timeframes: Sequence[Timeframe] = (),
    provider: str | None = None,
    now: datetime,
    count_bars: bool | None = None,
) -> tuple[SeriesState, ...]:
    """Return the state of all series that pass every filter given, in listing order.

    Bars are counted if `count_bars`, and where that is None, if the series are few enough. Raises
    NothingStored for a symbol without any.
    """
    with transaction.atomic():
        found = find_series(symbols=symbols, timeframes=timeframes, provider=provider)
        ids = [one.id for one in found]
        known = read_known(ids)
        counted = len(found) <= SERIES_COUNTED if count_bars is None else count_bars
        bars = series_state.summarize_bars(ids, counted=counted)
        tries = series_state.last_tries(ids)
        misses = series_state.count_missing(ids)
        jobs = series_state.open_jobs(ids)
    none = StoredBars(bars=0 if counted else None)
    states = []
    for one in found:
        held, last = bars.get(one.id, none), tries.get(one.id, LastTry())
        states.append(
            SeriesState(
                series=one,
                watermark=_watermark(known[one.id]),
                first_bar=held.first,
                last_bar=held.last,
                bars=held.bars,
                loaded_spans=len(known[one.id].loaded),
                doubted=bool(len(known[one.id].doubted)),
                missing=misses.get(one.id, 0),
                last_attempt_at=last.at,
                last_outcome=last.outcome,
                last_error=last.error,
                open_jobs=jobs.get(one.id, ()),
            )
        )
    return tuple(states)


def _watermark(known: Known) -> datetime | None:
    if not len(known.loaded):
        return None
    return from_us(known.settled.watermark(int(known.loaded.starts[0])))
