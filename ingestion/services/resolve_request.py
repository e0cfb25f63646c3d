"""Check a request against providers, calendars and the clock, without writing anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from ingestion.calendars import sessions_for
from ingestion.domain.errors import BadRequest
from ingestion.domain.expectation import Expectation, expect
from ingestion.domain.slicing import slice_span
from ingestion.domain.spec import JobRequest
from ingestion.domain.states import Workload
from ingestion.domain.windows import MICROSECOND, Window, from_us, to_us
from ingestion.store.series import InstrumentFacts, instrument_facts
from providers.base import Adapter, SeriesCapability
from providers.registry import get_adapter
from providers.types import Adjustment, Anchor, BarQuery, Timeframe

_SECONDS_PER_DAY = 86400
_MOST_REQUESTS = 1_000_000
_SHORTEST_WINDOW = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class ResolvedSeries:
    """Hold one series of a request: what to ask, over which window, in slices of which span.

    `window` is None where nothing lies inside it yet; `beyond` is the part that the provider's
    declared history does not reach.
    """

    instrument: InstrumentFacts
    timeframe: Timeframe
    adjustment: Adjustment
    anchor: Anchor
    capability: SeriesCapability
    span: timedelta
    window: Window | None
    beyond: Window | None


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """Hold a request that can be meant."""

    request: JobRequest
    adapter: Adapter
    series: tuple[ResolvedSeries, ...]


def resolve_request(request: JobRequest, *, now: datetime) -> ResolvedRequest:
    """Check and complete a request.

    Raises BadRequest, UnknownProvider, UnsupportedRequest, UnknownVenue or OutsideCalendar.
    """
    adapter = get_adapter(request.provider)
    _check(request, now=now)
    series = tuple(
        _resolve_series(request, adapter, symbol, timeframe, now=now)
        for symbol in request.symbols
        for timeframe in request.timeframes
    )
    return ResolvedRequest(request=request, adapter=adapter, series=series)


def _check(request: JobRequest, *, now: datetime) -> None:
    _check_names(request)
    _check_numbers(request)
    if request.start >= now:
        raise BadRequest(
            f"the start {request.start:%Y-%m-%d} lies in the future; give a past date",
            field="start",
        )
    match request.workload:
        case Workload.HISTORICAL:
            _check_end(request, now=now)
        case Workload.REALTIME:
            if not request.poll_seconds or request.poll_seconds < 1:
                raise BadRequest("say how often to ask, at least every second", field="poll")
            if request.poll_seconds > _SECONDS_PER_DAY:
                raise BadRequest("ask at least once a day", field="poll")
        case _:
            assert_never(request.workload)


def _check_names(request: JobRequest) -> None:
    if not request.symbols or not all(symbol.strip() for symbol in request.symbols):
        raise BadRequest("name at least one symbol, such as --symbols AAPL", field="symbols")
    if len(set(request.symbols)) != len(request.symbols):
        raise BadRequest("a symbol is named twice; name each one once", field="symbols")
    if any(len(symbol) > 64 or not symbol.isprintable() for symbol in request.symbols):
        raise BadRequest("a symbol has at most 64 printable characters", field="symbols")
    if any(symbol != symbol.strip() for symbol in request.symbols):
        raise BadRequest("a symbol has no spaces around it; leave them out", field="symbols")
    if not request.timeframes:
        raise BadRequest("name at least one timeframe, such as --timeframe 1d", field="timeframes")
    if len(set(request.timeframes)) != len(request.timeframes):
        raise BadRequest("a timeframe is named twice; name each one once", field="timeframes")
    if request.request_key is not None and not 1 <= len(request.request_key) <= 128:
        raise BadRequest("a request key has 1 to 128 characters", field="request_key")


def _check_numbers(request: JobRequest) -> None:
    if request.priority is not None and not 0 <= request.priority <= 255:
        raise BadRequest("a priority is a number from 0 to 255", field="priority")
    for field in ("tries", "max_concurrency", "slices_per_round"):
        value = getattr(request, field)
        if value is not None and not 1 <= value <= 1000:
            raise BadRequest(f"{field.replace('_', ' ')} is a number from 1 to 1000", field=field)
    if request.slice_span is not None and request.slice_span <= timedelta(0):
        raise BadRequest("a slice span must be positive", field="slice_span")
    limit = request.rate_limit
    if limit and not (1 <= limit.n <= _MOST_REQUESTS and limit.window >= _SHORTEST_WINDOW):
        raise BadRequest("a rate limit is a number of requests, such as 5/min", field="rate_limit")


def _check_end(request: JobRequest, *, now: datetime) -> None:
    if request.poll_seconds is not None:
        raise BadRequest("historical work is not polled; ask for realtime work", field="poll")
    if request.end is None:
        raise BadRequest("historical work needs an end date", field="end")
    if request.end <= request.start:
        raise BadRequest(
            f"the end {request.end:%Y-%m-%d} does not lie after the start"
            f" {request.start:%Y-%m-%d}; swap them",
            field="end",
        )
    # An inclusive end date of today means the midnight that follows.
    if request.end > now + timedelta(days=1):
        raise BadRequest(
            f"the end {request.end:%Y-%m-%d} lies in the future; leave it out to fetch until now",
            field="end",
        )


def _resolve_series(
    request: JobRequest, adapter: Adapter, symbol: str, timeframe: Timeframe, *, now: datetime
) -> ResolvedSeries:
    instrument = instrument_facts(symbol, provider=adapter.name, venue=request.venue)
    if instrument.known_as:
        raise BadRequest(
            f"{symbol} is not known, but {instrument.known_as} is; did you mean that?",
            field="symbols",
        )
    if request.venue and request.venue.upper() != instrument.venue:
        raise BadRequest(
            f"{symbol} is known as traded at {instrument.venue}; leave --venue out, or change the"
            " instrument in the admin",
            field="venue",
        )
    declared = adapter.capabilities.timeframes.get(timeframe)
    adjustment = request.adjustment or (declared.adjustment if declared else Adjustment.RAW)
    capability = adapter.capability_for(
        BarQuery(
            symbol=symbol,
            vendor_symbol=instrument.vendor_symbol,
            venue=instrument.venue,
            timeframe=timeframe,
            adjustment=adjustment,
            hours=request.hours,
            anchor=declared.anchor if declared else Anchor.OPEN,
            start=request.start,
            end=request.end or now,
        )
    )
    expectation = expect(
        sessions_for(instrument.venue),
        timeframe=timeframe,
        hours=request.hours,
        anchor=capability.anchor,
    )
    final_end = final_until(
        expectation, now=now, finality_delay=adapter.capabilities.finality_delay
    )
    start, end = request.start, min(request.end or final_end, final_end)
    if start < end:
        expectation.require(Window(start, end))
    beyond = None
    if capability.lookback is not None and start < now - capability.lookback:
        reach = _next_midnight(now - capability.lookback)
        beyond = Window(start, min(reach, end)) if start < min(reach, end) else None
        start = max(start, reach)
    return ResolvedSeries(
        instrument=instrument,
        timeframe=timeframe,
        adjustment=adjustment,
        anchor=capability.anchor,
        capability=capability,
        span=slice_span(
            workload=request.workload,
            timeframe=timeframe,
            requested=request.slice_span,
            capability=capability,
            bars_per_day=_bars_per_day(expectation),
        ),
        window=Window(start, end) if start < end else None,
        beyond=beyond,
    )


def final_until(expectation: Expectation, *, now: datetime, finality_delay: timedelta) -> datetime:
    """Return the exclusive stamp before which every bar is over and its values are final."""
    settled_us = to_us(now - finality_delay)
    if expectation.timeframe.is_intraday:
        step = expectation.timeframe.duration // MICROSECOND
        return from_us(settled_us // step * step)
    # A span of a year before now always holds the last finished session, week and month.
    units = expectation.units_between(settled_us - 366 * _SECONDS_PER_DAY * 10**6, settled_us)
    over = expectation.bar_ends(units.starts) <= settled_us
    return from_us(int(units.ends[over][-1])) if over.any() else from_us(settled_us)


def _bars_per_day(expectation: Expectation) -> float | None:
    """Return how many bars a calendar day holds at its densest, from the sessions' lengths."""
    if not expectation.timeframe.is_intraday or not len(expectation.units):
        return None
    span_us = int((expectation.units.ends - expectation.units.starts).max())
    return max(1.0, span_us / (expectation.timeframe.duration // MICROSECOND))


def _next_midnight(moment: datetime) -> datetime:
    floor = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return floor if floor == moment else floor + timedelta(days=1)
