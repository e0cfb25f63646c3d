"""Bring series up to date: from what is stored to the newest bar that is over and settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.domain.spec import JobRequest
from ingestion.domain.states import JobKind, Workload
from ingestion.domain.updating import holding_bars
from ingestion.services.find_series import find_series
from ingestion.services.open_job import OpenedJob, open_resolved
from ingestion.services.resolve_request import ResolvedSeries, lacking, resolve_request
from ingestion.store.file_sources import removed_sources
from ingestion.store.series_reads import SeriesRow
from providers.types import Timeframe


@dataclass(frozen=True, slots=True)
class Updated:
    """Say what an update does: `series` were asked about, `current` of them lack nothing.

    `job` is None where nothing lacks anything; then nothing was written and nobody is asked.
    """

    provider: str
    job: OpenedJob | None
    series: int
    current: int


def update_series(
    request: JobRequest,
    *,
    now: datetime,
    actor: Actor,
    egress: str = "default",
    draft: bool = False,
) -> Updated:
    """Open one job over the series of a request that lack something, if any does.

    Raises what resolve_request raises.
    """
    if request.kind is not JobKind.UPDATE or request.workload is not Workload.HISTORICAL:
        raise BadRequest("an update is historical work of kind update", field="kind")
    resolved = resolve_request(request, now=now, read_stored=True)
    behind = tuple(one for one in resolved.series if lacks_bars(one))
    job = None
    if behind:
        job = open_resolved(
            replace(resolved, series=behind), now=now, actor=actor, egress=egress, draft=draft
        )
    return Updated(
        provider=resolved.adapter.name,
        job=job,
        series=len(resolved.series),
        current=len(resolved.series) - len(behind),
    )


def lacks_bars(one: ResolvedSeries) -> bool:
    """Tell whether the calendar promises a bar in what is neither loaded nor explained."""
    return bool(len(holding_bars(lacking(one), one.expectation)))


def stored_requests(
    *,
    symbols: Sequence[str] = (),
    timeframes: Sequence[Timeframe] = (),
    provider: str | None = None,
) -> list[JobRequest]:
    """Ask for an update of all that is stored and passes every filter given.

    One request holds series of one provider, adjustment and hours whose symbols share the same
    timeframes, so that nothing is asked for that is not stored. A source of files that was removed
    is not asked, unless it is named. Raises NothingStored for a symbol without any.
    """
    found = find_series(symbols=symbols, timeframes=timeframes, provider=provider)
    if provider is None:
        removed = removed_sources(one.provider for one in found)
        found = [one for one in found if one.provider not in removed]
    kept: dict[tuple[str, ...], dict[str, list[Timeframe]]] = {}
    for one in found:
        of_symbol = kept.setdefault(_basis(one), {})
        of_symbol.setdefault(one.symbol, []).append(one.timeframe)
    requests: list[JobRequest] = []
    rows = {_basis(one): one for one in found}
    for basis, of_symbol in kept.items():
        alike: dict[tuple[Timeframe, ...], list[str]] = {}
        for symbol, held in of_symbol.items():
            alike.setdefault(tuple(dict.fromkeys(held)), []).append(symbol)
        requests += [
            JobRequest(
                provider=rows[basis].provider,
                symbols=tuple(sharing),
                timeframes=shared,
                start=None,
                end=None,
                kind=JobKind.UPDATE,
                adjustment=rows[basis].adjustment,
                hours=rows[basis].hours,
            )
            for shared, sharing in alike.items()
        ]
    return requests


def _basis(one: SeriesRow) -> tuple[str, ...]:
    return one.provider, one.adjustment.value, one.hours.value
