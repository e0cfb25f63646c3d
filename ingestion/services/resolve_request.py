"""Check a request against providers, calendars and the clock, without writing anything."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from ingestion.calendars import expectation_for
from ingestion.domain.coverage import Ranges
from ingestion.domain.errors import BadRequest
from ingestion.domain.expectation import Expectation
from ingestion.domain.slicing import slice_span
from ingestion.domain.spec import JobRequest, Named, Sample, SeriesSpec
from ingestion.domain.updating import settled_until, update_start
from ingestion.domain.windows import MICROSECOND, Window, from_us, to_us
from ingestion.services.check_request import check_request
from ingestion.store.coverage import NOTHING_KNOWN, Known, read_known
from ingestion.store.instrument_facts import InstrumentFacts, instrument_facts
from ingestion.store.series import SeriesName, find_series
from providers.base import Adapter, SeriesCapability
from providers.registry import get_adapter
from providers.types import Adjustment, Anchor, BarQuery, Timeframe


@dataclass(frozen=True, slots=True)
class ResolvedSeries:
    """Hold one series of a request: what to ask, over which window, in slices of which span.

    `series_id` and `known` say what is stored of it, where that was looked at. `window` is None
    where nothing lies inside it yet; `beyond` is the part that the provider's history does not
    reach. `named` are the times in which the provider has a name for the instrument, empty where it
    always had the same. `only` some parts of the window may be meant, and of those a `sample`.
    """

    instrument: InstrumentFacts
    name: SeriesName
    capability: SeriesCapability
    expectation: Expectation
    span: timedelta
    named: tuple[Named, ...]
    window: Window | None = None
    beyond: Window | None = None
    series_id: int | None = None
    known: Known = NOTHING_KNOWN
    only: Ranges | None = None
    sample: Sample | None = None

    def freeze(self, series_id: int) -> SeriesSpec:
        """Return the form that stands on the job's row."""
        return SeriesSpec(
            series_id=series_id,
            symbol=self.name.symbol,
            vendor_symbol=self.instrument.vendor_symbol,
            venue=self.instrument.venue,
            timeframe=self.name.timeframe,
            adjustment=self.name.adjustment,
            hours=self.name.hours,
            anchor=self.name.anchor,
            span=self.span,
            listed_from=self.instrument.listed_from,
            start=self.window.start if self.window else None,
            end=self.window.end if self.window else None,
            named=self.named,
            only=tuple((one.start, one.end) for one in self.only.windows()) if self.only else (),
            sample=self.sample,
        )


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """Hold a request that can be meant."""

    request: JobRequest
    adapter: Adapter
    series: tuple[ResolvedSeries, ...]


def resolve_request(
    request: JobRequest, *, now: datetime, read_stored: bool = False
) -> ResolvedRequest:
    """Check and complete a request, in a bounded number of queries.

    What is stored is read where the request's own start depends on it, or if `read_stored`. Raises
    BadRequest, UnknownProvider, UnsupportedRequest, UnknownVenue or OutsideCalendar.
    """
    adapter = get_adapter(request.provider)
    check_request(request, now=now)
    instruments = instrument_facts(
        request.symbols, adapter=adapter, venue=request.venue, today=now.date()
    )
    _check_instruments(request, instruments)
    resolver = _Resolver(request, adapter, now=now)
    series = [
        resolver.identify(instruments[symbol], timeframe)
        for symbol in request.symbols
        for timeframe in request.timeframes
    ]
    if read_stored or request.start is None:
        series = _with_stored(series, provider=adapter.name)
    return ResolvedRequest(
        request=request,
        adapter=adapter,
        series=tuple(resolver.bound(one) for one in series),
    )


def _check_instruments(request: JobRequest, instruments: Mapping[str, InstrumentFacts]) -> None:
    meant = {symbol: one.known_as for symbol, one in instruments.items() if one.known_as}
    if len(meant) == 1:
        ((symbol, known_as),) = meant.items()
        raise BadRequest(
            f"{symbol} is not known, but {known_as} is; did you mean that?", field="symbols"
        )
    if meant:
        pairs = ", ".join(f"{known_as} for {symbol}" for symbol, known_as in meant.items())
        raise BadRequest(f"some symbols are known by other names: give {pairs}", field="symbols")
    for symbol, one in instruments.items():
        if one.is_unspelled:
            raise BadRequest(
                f"{request.provider} has no certain name for {symbol}"
                f" ({one.listing.name or one.venue}); say it with `mdc symbols map {symbol}"
                f" {request.provider} NAME`, or ask another provider",
                field="symbols",
            )
        if request.venue and request.venue.upper() != one.venue:
            raise BadRequest(
                f"{symbol} is known as traded at {one.venue}; leave --venue out, or correct it with"
                f" `mdc symbols add {symbol} --venue {request.venue.upper()}`",
                field="venue",
            )


def _with_stored(series: list[ResolvedSeries], *, provider: str) -> list[ResolvedSeries]:
    ids = find_series([one.name for one in series], provider=provider)
    known = read_known(ids.values())
    return [
        replace(one, series_id=ids[one.name], known=known[ids[one.name]])
        if one.name in ids
        else one
        for one in series
    ]


class _Resolver:
    """Work out series after series what all of them share only once."""

    def __init__(self, request: JobRequest, adapter: Adapter, *, now: datetime) -> None:
        self._request = request
        self._adapter = adapter
        self._now = now
        self._final_until = functools.cache(self._until)
        self._span = functools.cache(self._slice_span)

    def identify(self, instrument: InstrumentFacts, timeframe: Timeframe) -> ResolvedSeries:
        """Say which series is meant; raises UnsupportedRequest or UnknownVenue."""
        request = self._request
        declared = self._adapter.capabilities.timeframes.get(timeframe)
        name = SeriesName(
            symbol=instrument.symbol,
            timeframe=timeframe,
            adjustment=request.adjustment or (declared.adjustment if declared else Adjustment.RAW),
            hours=request.hours,
            anchor=declared.anchor if declared else Anchor.OPEN,
        )
        capability = self._adapter.capability_for(self._query(instrument, name))
        # Files of one source may count their bars from here or from there.
        name = replace(name, anchor=capability.anchor)
        expectation = expectation_for(
            venue=instrument.venue, timeframe=timeframe, hours=name.hours, anchor=name.anchor
        )
        return ResolvedSeries(
            instrument=instrument,
            name=name,
            capability=capability,
            expectation=expectation,
            span=self._span(expectation, capability),
            named=_named(instrument),
        )

    def bound(self, one: ResolvedSeries) -> ResolvedSeries:
        """Add the windows: what to ask, and what lies before all that the provider holds.

        Raises OutsideCalendar.
        """
        until = self._final_until(one.expectation)
        start = self._request.start or self._start_of_update(one)
        end = min(self._request.end or until, until)
        held = self._adapter.reach(self._query(one.instrument, one.name))
        first, last = self._life(one, reach_is_known=held is not None)
        start, end = max(start, first or start), min(end, last or end)
        held_from, held_until = self._reach(one, held)
        reach = max(start, held_from or start)
        beyond = Window(start, min(reach, end)) if start < min(reach, end) else None
        start, end = reach, min(end, held_until or end)
        if start < end:
            one.expectation.require(Window(start, end))
        return replace(one, window=Window(start, end) if start < end else None, beyond=beyond)

    def _query(self, instrument: InstrumentFacts, name: SeriesName) -> BarQuery:
        return BarQuery(
            symbol=name.symbol,
            vendor_symbol=instrument.vendor_symbol,
            venue=instrument.venue,
            timeframe=name.timeframe,
            adjustment=name.adjustment,
            hours=name.hours,
            anchor=name.anchor,
            start=self._request.start or self._now - self._request.lookback,
            end=self._request.end or self._now,
        )

    def _until(self, expectation: Expectation) -> datetime:
        delay = self._adapter.capabilities.finality_delay
        return final_until(expectation, now=self._now, finality_delay=delay)

    def _slice_span(self, expectation: Expectation, capability: SeriesCapability) -> timedelta:
        return slice_span(
            workload=self._request.workload,
            timeframe=expectation.timeframe,
            requested=self._request.slice_span,
            capability=capability,
            bars_per_day=_bars_per_day(expectation),
        )

    def _start_of_update(self, one: ResolvedSeries) -> datetime:
        oldest = _first_stamp(one.expectation, _midnight(self._now - self._request.lookback))
        start_us = update_start(
            loaded=one.known.loaded, doubted=one.known.doubted, lookback_us=to_us(oldest)
        )
        return from_us(start_us)

    def _life(
        self, one: ResolvedSeries, *, reach_is_known: bool
    ) -> tuple[datetime | None, datetime | None]:
        """Return the stamps between which the instrument trades under the provider's names."""
        facts = one.instrument
        firsts = [begun for begun, _ in one.named[:1] if begun]
        lasts = [ended for _, ended in one.named[-1:] if ended]
        # What a provider is known to hold tells more of an instrument's life than a general list.
        if facts.facts_from == "user" or not reach_is_known:
            firsts += [facts.listed_from] if facts.listed_from else []
            lasts += [facts.delisted_on] if facts.delisted_on else []
        return max(firsts, default=None), min(lasts, default=None)

    def _reach(
        self, one: ResolvedSeries, held: tuple[datetime, datetime] | None
    ) -> tuple[datetime | None, datetime | None]:
        """Return the stamps between which the provider may hold bars."""
        # A provider may hold rows from before the calendar; nobody can judge those.
        known = from_us(one.expectation.sessions.known_from)
        firsts, lasts = ([max(held[0], known)], [held[1]]) if held else ([], [])
        if one.capability.lookback is not None:
            firsts.append(_next_midnight(self._now - one.capability.lookback))
        return max(firsts, default=None), min(lasts, default=None)


def lacking(one: ResolvedSeries) -> Ranges:
    """Return what of a series' window is neither loaded nor explained; `known` must be read."""
    if one.window is None:
        return Ranges.empty()
    return Ranges.of_windows([one.window]).subtract(one.known.settled)


def final_until(expectation: Expectation, *, now: datetime, finality_delay: timedelta) -> datetime:
    """Return the exclusive stamp before which every bar is over and its values are final."""
    settled_us = to_us(now - finality_delay)
    if expectation.timeframe.is_intraday:
        return from_us(settled_until(expectation, settled_us=settled_us))
    # Whole spans of stamps: a session is over with its close, hours before its date is.
    units = expectation.units
    begun = units.take(units.starts < settled_us)
    over = int(np.searchsorted(expectation.bar_ends(begun.starts), settled_us, side="right"))
    return from_us(int(units.ends[over - 1])) if over else from_us(settled_us)


def _named(instrument: InstrumentFacts) -> tuple[Named, ...]:
    aliases = instrument.aliases
    if len(aliases) == 1 and aliases[0].start is None and aliases[0].end is None:
        return ()
    return tuple((alias.start, alias.end) for alias in aliases)


def _first_stamp(expectation: Expectation, moment: datetime) -> datetime:
    """Return the stamp of the bar that is forming at a moment, for bars longer than a session."""
    if expectation.timeframe.is_intraday:
        return moment
    starts = expectation.units.starts
    index = int(np.searchsorted(starts, to_us(moment), side="right")) - 1
    return min(moment, from_us(int(starts[index]))) if index >= 0 else moment


def _bars_per_day(expectation: Expectation) -> float | None:
    """Return how many bars a calendar day holds at its densest, from the sessions' lengths."""
    if not expectation.timeframe.is_intraday or not len(expectation.units):
        return None
    span_us = int((expectation.units.ends - expectation.units.starts).max())
    return max(1.0, span_us / (expectation.timeframe.duration // MICROSECOND))


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _next_midnight(moment: datetime) -> datetime:
    floor = _midnight(moment)
    return floor if floor == moment else floor + timedelta(days=1)
