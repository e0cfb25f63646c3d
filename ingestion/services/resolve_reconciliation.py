"""Choose what is fetched once more: a window, a sample of it, or what an older adapter read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ingestion.domain.coverage import Ranges
from ingestion.domain.errors import BadRequest
from ingestion.domain.spec import JobRequest, Sample
from ingestion.domain.states import JobKind
from ingestion.domain.windows import from_us
from ingestion.services.resolve_request import ResolvedRequest, ResolvedSeries, resolve_request
from ingestion.store.attempt_reads import looked_at_by
from ingestion.store.coverage import read_known
from ingestion.store.series_reads import select_series
from providers.registry import get_adapter


@dataclass(frozen=True, slots=True)
class Part:
    """Choose what of the stored series to look at again: all, or what both narrow it down to.

    `parsed_before` leaves out what an adapter of that version, or a later one, has read.
    """

    sample: Sample | None = None
    parsed_before: int | None = None


def resolve_reconciliation(request: JobRequest, part: Part, *, now: datetime) -> ResolvedRequest:
    """Resolve a request for stored series; it keeps those of which something is to be looked at.

    Without a start a series is looked at from its first covered stamp on to its last. Raises
    BadRequest for an adapter version that does not exist yet, and what resolve_request raises.
    """
    if part.parsed_before is not None:
        _check_version(request.provider, part.parsed_before)
    start = request.start or _first_stored(request)
    if start is None:
        return ResolvedRequest(request, get_adapter(request.provider), series=())
    resolved = resolve_request(
        replace(request, kind=JobKind.RECONCILE, start=start, end=request.end or now),
        now=now,
        read_stored=True,
    )
    stored = [one for one in resolved.series if one.series_id is not None]
    if request.start is None:
        stored = [_within_stored(one) for one in stored]
    if part.parsed_before is not None:
        stored = _outdated(stored, version=part.parsed_before)
    chosen = tuple(replace(one, sample=part.sample) for one in stored if one.window)
    return replace(resolved, series=chosen)


def _check_version(provider: str, version: int) -> None:
    current = get_adapter(provider).version
    if version > current:
        raise BadRequest(
            f"the adapter of {provider} is at version {current}: nothing can be read by version"
            f" {version} yet; name a version that exists, or another provider",
            field="parsed_before",
        )


def _first_stored(request: JobRequest) -> datetime | None:
    """Return the first covered stamp of all that the request names."""
    found = select_series(
        symbols=request.symbols, timeframes=request.timeframes, provider=request.provider
    )
    known = read_known(one.id for one in found).values()
    covered = [one.loaded.union(one.doubted) for one in known]
    return min((from_us(int(one.starts[0])) for one in covered if len(one)), default=None)


def _within_stored(one: ResolvedSeries) -> ResolvedSeries:
    """Cut a series' window to the hull of what is covered."""
    covered = one.known.loaded.union(one.known.doubted)
    if not len(covered) or one.window is None:
        return replace(one, window=None)
    return replace(one, window=one.window.intersect(covered.hull))


def _outdated(series: list[ResolvedSeries], *, version: int) -> list[ResolvedSeries]:
    """Cut each series to what no adapter of the version has read."""
    read = looked_at_by([one.series_id for one in series if one.series_id], version=version)
    narrowed = []
    for one in series:
        asked = Ranges.of_windows([one.window] if one.window else [])
        old = asked.intersect(one.known.loaded)
        if one.series_id in read:
            old = old.subtract(read[one.series_id])
        narrowed.append(replace(one, window=old.hull if len(old) else None, only=old))
    return narrowed
