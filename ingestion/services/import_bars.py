"""Import what a declared source holds: one job over all of its series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.domain.spec import JobRequest
from ingestion.domain.states import JobKind
from ingestion.services.discover_files import Discovered, FoundSeries, discover_files
from ingestion.services.open_job import OpenedJob, open_resolved
from ingestion.services.resolve_request import ResolvedRequest, ResolvedSeries, resolve_request
from ingestion.store.instrument_facts import InstrumentFacts, instrument_facts
from providers.files.source import Problem
from providers.registry import get_adapter
from providers.types import Timeframe

_WHOLE = timedelta(days=36_525)


@dataclass(frozen=True, slots=True)
class Imported:
    """Hold what an import found, what it opened a job over, and what it left out, with reasons."""

    found: Discovered
    taken: tuple[FoundSeries, ...]
    left_out: tuple[Problem, ...]
    job: OpenedJob | None


@dataclass(frozen=True, slots=True)
class _Planned:
    found: Discovered
    taken: tuple[FoundSeries, ...]
    left_out: tuple[Problem, ...]
    resolved: ResolvedRequest | None


def import_bars(
    name: str,
    *,
    now: datetime,
    actor: Actor,
    symbols: Sequence[str] = (),
    timeframes: Sequence[Timeframe] = (),
    egress: str = "default",
    validate: bool = True,
    dry_run: bool = False,
) -> Imported:
    """Open one job over the series of a source, from the first bar of each to its last.

    Everything is read again, as in a reconciliation, so that bars which are stored already are
    compared: the job's summary counts what was inserted, unchanged and revised. Raises BadRequest,
    where nothing can be imported as well.
    """
    planned = _plan(name, now=now, symbols=symbols, timeframes=timeframes, validate=validate)
    job = None
    if planned.resolved is not None and not dry_run:
        job = open_resolved(planned.resolved, now=now, actor=actor, egress=egress)
    return Imported(planned.found, planned.taken, planned.left_out, job)


def _plan(
    name: str,
    *,
    now: datetime,
    symbols: Sequence[str],
    timeframes: Sequence[Timeframe],
    validate: bool,
) -> _Planned:
    found = discover_files(name)
    chosen = _chosen(found, symbols=symbols, timeframes=timeframes)
    provider = found.source.provider
    facts = instrument_facts(
        list(dict.fromkeys(one.symbol for one in chosen)),
        adapter=get_adapter(provider),
        venue=None,
        today=now.date(),
    )
    left_out = [
        *found.problems,
        *(Problem(one.symbol, _why_not(facts[one.symbol], one, now=now)) for one in chosen),
    ]
    left_out = [one for one in left_out if one.message]
    taken = [one for one in chosen if not _why_not(facts[one.symbol], one, now=now)]
    if not taken:
        reason = f"{left_out[0].file}: {left_out[0].message}" if left_out else "no file has rows"
        raise BadRequest(f"nothing of {found.source.path} can be imported; {reason}", field="path")
    resolved = _resolve(taken, facts, provider=provider, now=now, validate=validate)
    return _Planned(found, tuple(taken), tuple(left_out), resolved)


def _chosen(
    found: Discovered, *, symbols: Sequence[str], timeframes: Sequence[Timeframe]
) -> list[FoundSeries]:
    held = {one.symbol for one in found.series}
    absent = [symbol for symbol in symbols if symbol not in held]
    if absent:
        raise BadRequest(
            f"{found.source.provider} holds no {', '.join(absent)};"
            f" `mdc files show {found.source.name}` lists what it holds",
            field="symbols",
        )
    return [
        one
        for one in found.series
        if (not symbols or one.symbol in symbols)
        and (not timeframes or one.timeframe in timeframes)
    ]


def _why_not(facts: InstrumentFacts, one: FoundSeries, *, now: datetime) -> str:
    """Say why a series is left out; empty where it is not."""
    if facts.known_as:
        return (
            f"{facts.known_as} is known and probably meant; declare"
            f' "{one.symbol}" = "{facts.known_as}" under [symbols]'
        )
    if one.first >= now:
        return "all of its rows lie in the future"
    return ""


def _resolve(
    taken: Sequence[FoundSeries],
    facts: dict[str, InstrumentFacts],
    *,
    provider: str,
    now: datetime,
    validate: bool,
) -> ResolvedRequest:
    """Resolve series that share their shape together, and join what comes of it."""

    def shape(one: FoundSeries) -> tuple[str, ...]:
        venue = "" if facts[one.symbol].stored else one.venue
        return (venue, one.timeframe, one.adjustment, one.hours, one.anchor)

    resolved: list[ResolvedRequest] = []
    series: list[ResolvedSeries] = []
    for (venue, *_), members in groupby(sorted(taken, key=shape), key=shape):
        group = list(members)
        request = JobRequest(
            provider=provider,
            symbols=tuple(one.symbol for one in group),
            timeframes=(group[0].timeframe,),
            start=min(one.first for one in group),
            end=min(max(one.end for one in group), now),
            kind=JobKind.RECONCILE,
            adjustment=group[0].adjustment,
            hours=group[0].hours,
            # As much as the pages of a slice hold: reading on in a file costs nothing.
            slice_span=_WHOLE,
            venue=venue or None,
            validate=validate,
        )
        resolved.append(resolve_request(request, now=now))
        # Nobody asked for what lies before a series' first bar.
        series += [replace(one, beyond=None) for one in resolved[-1].series]
    first = resolved[0].request
    whole = replace(
        first,
        symbols=tuple(dict.fromkeys(one.symbol for one in taken)),
        timeframes=tuple(dict.fromkeys(one.timeframe for one in taken)),
        start=min(one.first for one in taken),
        end=min(max(one.end for one in taken), now),
    )
    return ResolvedRequest(request=whole, adapter=resolved[0].adapter, series=tuple(series))
