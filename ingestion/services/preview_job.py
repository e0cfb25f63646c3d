"""Say exactly what a request would fetch, without network and without writing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ingestion.domain.spec import JobRequest, SeriesSpec
from ingestion.domain.windows import Window
from ingestion.services.plan_job import plan_series
from ingestion.services.resolve_request import ResolvedRequest, ResolvedSeries, resolve_request
from providers.base import Adapter, RateLimit
from providers.types import BarQuery, Timeframe

NOT_STORED_YET = 0


@dataclass(frozen=True, slots=True)
class SeriesPreview:
    """Hold what one series would take; `rows` are expected bars."""

    symbol: str
    timeframe: Timeframe
    slices: int
    requests: int
    rows: int
    covered_fraction: float


@dataclass(frozen=True, slots=True)
class Preview:
    """Hold what a request would take; `seconds` is the time at the budget, latency aside."""

    series: tuple[SeriesPreview, ...]
    slices: int
    requests: int
    rows: int
    seconds: float


def preview_job(request: JobRequest, *, now: datetime) -> Preview:
    """Plan a request on paper. Raises what resolve_request raises."""
    return preview_resolved(resolve_request(request, now=now, read_stored=True))


def preview_resolved(resolved: ResolvedRequest) -> Preview:
    """Plan on paper what is resolved already, with what is stored."""
    request = resolved.request
    series = tuple(_preview_series(request, resolved.adapter, one) for one in resolved.series)
    requests = sum(one.requests for one in series)
    limits = list(resolved.adapter.capabilities.rate_limits)
    if request.rate_limit:
        limits.append(request.rate_limit)
    return Preview(
        series=series,
        slices=sum(one.slices for one in series),
        requests=requests,
        rows=sum(one.rows for one in series),
        seconds=max((_seconds(requests, limit) for limit in limits), default=0.0),
    )


def _preview_series(request: JobRequest, adapter: Adapter, one: ResolvedSeries) -> SeriesPreview:
    spec = one.freeze(one.series_id or NOT_STORED_YET)
    plan = plan_series(spec, kind=request.kind, known=one.known)
    wanted = one.window.duration.total_seconds() if one.window else 0.0
    lacking = float((plan.ends - plan.starts).sum()) / 1e6
    return SeriesPreview(
        symbol=spec.symbol,
        timeframe=spec.timeframe,
        slices=len(plan),
        requests=sum(adapter.count_requests(_query(spec, window)) for window in plan.windows()),
        rows=int(plan.bars.sum()),
        covered_fraction=max(0.0, 1.0 - lacking / wanted) if wanted else 1.0,
    )


def _query(spec: SeriesSpec, window: Window) -> BarQuery:
    return BarQuery(
        symbol=spec.symbol,
        vendor_symbol=spec.vendor_symbol,
        venue=spec.venue,
        timeframe=spec.timeframe,
        adjustment=spec.adjustment,
        hours=spec.hours,
        anchor=spec.anchor,
        start=window.start,
        end=window.end,
    )


def _seconds(requests: int, limit: RateLimit) -> float:
    """Return how long a full budget makes requests wait: the first window's worth is free."""
    windows = max(0, requests - 1) // limit.n
    return windows * limit.window.total_seconds()
