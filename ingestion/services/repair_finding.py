"""Have what findings are about fetched again and compared."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import FindingRefused
from ingestion.domain.findings import UNSETTLED, FindingState
from ingestion.domain.spec import JobRequest
from ingestion.domain.states import JobKind
from ingestion.domain.windows import Window
from ingestion.services.open_job import open_resolved
from ingestion.services.resolve_request import ResolvedRequest, resolve_request
from ingestion.store import audit, findings, repair_jobs, series_reads
from ingestion.store.findings import FindingRow
from ingestion.store.series_reads import SeriesRow


@dataclass(frozen=True, slots=True)
class Repair:
    """Name the job that repairs some findings."""

    job_id: int
    finding_ids: tuple[int, ...]


def repair_finding(
    finding_ids: Collection[int], *, now: datetime, actor: Actor, reason: str = ""
) -> list[Repair]:
    """Open repair jobs: one for all findings in series of a provider that are alike.

    A job asks each series for the hull of its findings' windows, for all that is stored where a
    finding is about the whole series. Raises UnknownFinding, FindingRefused for one that is
    settled, under repair, out of reach or about no series, and what resolve_request raises; then
    nothing was opened.
    """
    with transaction.atomic():
        chosen = findings.read(set(finding_ids))
        for one in chosen:
            _check(one)
        series = {
            one.id: one
            for one in series_reads.select_series(
                ids={one.series_id for one in chosen if one.series_id}
            )
        }
        repairs = [
            _repair(group, series, now=now, actor=actor, reason=reason)
            for group in _alike(chosen, series)
        ]
    return repairs


def _check(one: FindingRow) -> None:
    if one.series_id is None:
        raise FindingRefused(
            one.id,
            "a payload is not mended by fetching it again; the adapter must follow, or accept it",
        )
    if one.state is FindingState.REPAIRING:
        raise FindingRefused(one.id, f"job {one.job_id} is repairing it")
    if one.state not in UNSETTLED:
        raise FindingRefused(one.id, f"it is {one.state}; reopen it first")


def _alike(chosen: Sequence[FindingRow], series: dict[int, SeriesRow]) -> list[list[FindingRow]]:
    groups: dict[tuple[Any, ...], list[FindingRow]] = {}
    for one in chosen:
        of = series[one.series_id or 0]
        key = (of.provider, of.timeframe, of.adjustment, of.hours, of.anchor)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _repair(
    group: Sequence[FindingRow],
    series: dict[int, SeriesRow],
    *,
    now: datetime,
    actor: Actor,
    reason: str,
) -> Repair:
    windows = {
        series_id: _hull([one for one in group if one.series_id == series_id])
        for series_id in dict.fromkeys(one.series_id for one in group if one.series_id)
    }
    resolved = _resolve({series[key]: window for key, window in windows.items()}, now=now)
    if not any(one.window for one in resolved.series):
        raise FindingRefused(
            group[0].id,
            f"{resolved.adapter.name} does not serve its window any more;"
            " accept it, or backfill from another provider",
        )
    job_id = open_resolved(resolved, now=now, actor=actor).job_id
    locked = findings.lock([one.id for one in group])
    for one in locked:
        _check(one)
    findings.repairing([one.id for one in locked], job_id=job_id)
    for one in locked:
        audit.record(
            actor=actor,
            action="finding.repair",
            object_type="finding",
            object_id=one.id,
            before={"state": one.state.value},
            after={"state": FindingState.REPAIRING.value, "job": job_id},
            reason=reason,
        )
    return Repair(job_id, tuple(one.id for one in locked))


def _hull(group: Sequence[FindingRow]) -> Window:
    windows = [one.window for one in group]
    if any(window is None for window in windows):
        whole = repair_jobs.extent(group[0].series_id or 0)
        if whole is None:
            raise FindingRefused(
                group[0].id, "nothing is stored of its series; backfill it instead"
            )
        return whole
    known = [window for window in windows if window]
    return Window(min(one.start for one in known), max(one.end for one in known))


def _resolve(windows: dict[SeriesRow, Window], *, now: datetime) -> ResolvedRequest:
    """Resolve a request over the hull of all windows, and cut each series to its own."""
    first = next(iter(windows))
    resolved = resolve_request(
        JobRequest(
            provider=first.provider,
            symbols=tuple(dict.fromkeys(one.symbol for one in windows)),
            timeframes=(first.timeframe,),
            start=min(window.start for window in windows.values()),
            end=min(max(window.end for window in windows.values()), now),
            kind=JobKind.REPAIR,
            adjustment=first.adjustment,
            hours=first.hours,
        ),
        now=now,
    )
    own = {one.symbol: window for one, window in windows.items()}
    return replace(
        resolved,
        series=tuple(
            replace(
                one,
                name=replace(one.name, anchor=first.anchor),
                window=one.window and one.window.intersect(own[one.name.symbol]),
                beyond=one.beyond and one.beyond.intersect(own[one.name.symbol]),
            )
            for one in resolved.series
        ),
    )
