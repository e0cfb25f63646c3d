"""Look at a part of a series with every check, and keep what is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time

import numpy as np

from ingestion.calendars import expectation_for
from ingestion.domain.checks.found import Found
from ingestion.domain.checks.look import look
from ingestion.domain.checks.parts import Part, parts_of
from ingestion.domain.checks.stretch import Mask, Split, Stretch
from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation
from ingestion.domain.findings import INSPECTED, Check
from ingestion.domain.gaps import Gap
from ingestion.domain.windows import Window, from_us, to_us
from ingestion.services.compare_providers import compare_providers
from ingestion.services.find_gaps import series_gaps
from ingestion.services.record_findings import record_findings
from ingestion.store import inspections, series_reads
from ingestion.store.action_reads import actions_of
from ingestion.store.coverage import read_known
from ingestion.store.series import load_facts
from ingestion.store.series_reads import SeriesRow
from providers.bars import Bars
from providers.instruments import ActionKind
from providers.types import Hours

_COMPARED = frozenset({Check.DISAGREEMENT})
_STANDING_STILL = frozenset({Check.STALE, Check.ZERO_VOLUME})


@dataclass(frozen=True, slots=True)
class Inspected:
    """Count the bars that a look read, and hold what it found.

    `opened` findings are new, `resolved` ones were found here before and are not any more.
    """

    bars: int = 0
    found: tuple[Found, ...] = ()
    opened: int = 0
    resolved: int = 0

    def join(self, other: Inspected) -> Inspected:
        """Add another part of the same series."""
        return Inspected(
            self.bars + other.bars,
            (*self.found, *other.found),
            self.opened + other.opened,
            self.resolved + other.resolved,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """Hold what is known of a series beside its bars."""

    series: SeriesRow
    expectation: Expectation
    claimed: Ranges
    awaited: Ranges
    gaps: tuple[Gap, ...]
    splits: tuple[Split, ...]
    has_volume: bool
    may_be_negative: bool
    now: datetime


def read_inspected(series_id: int, *, now: datetime) -> Known:
    """Read what is known of a series beside its bars; raises UnknownVenue without a calendar."""
    (series,) = series_reads.select_series(ids=[series_id])
    facts = load_facts([series_id])[series_id]
    return Known(
        series=series,
        expectation=expectation_for(
            venue=series.venue,
            timeframe=series.timeframe,
            hours=series.hours,
            anchor=series.anchor,
        ),
        claimed=read_known([series_id])[series_id].loaded,
        awaited=inspections.awaited(series_id),
        gaps=series_gaps([series_id], now=now)[series_id].gaps,
        splits=_splits(series.instrument_id),
        has_volume=facts.has_volume,
        may_be_negative=facts.may_be_negative,
        now=now,
    )


def _splits(instrument_id: int) -> tuple[Split, ...]:
    """Return the splits that anybody stated, each ex-date once."""
    stated = {
        one.action.ex_date: one.action.value
        for one in actions_of(instrument_ids=[instrument_id])
        if one.action.kind is ActionKind.SPLIT
    }
    return tuple(
        Split(to_us(datetime.combine(day, time(), UTC)), value)
        for day, value in sorted(stated.items())
    )


def parts_to_inspect(known: Known, ranges: Ranges) -> Iterator[Part]:
    """Cut windows into parts, together with the whole of what was found in them before."""
    found = inspections.unsettled(known.series.id, ranges=ranges, checks=INSPECTED | _COMPARED)
    return parts_of(known.expectation, ranges.union(found))


def inspect_part(known: Known, part: Part) -> Inspected:
    """Judge a part in the caller's transaction, and keep what is found.

    What was found before in the part and is not found again becomes resolved.
    """
    start, end = from_us(part.start_us), from_us(part.end_us)
    bars = inspections.read_stored(known.series.id, start=start, end=end)
    stretch = Stretch(
        bars=bars,
        expectation=known.expectation,
        judged=part.judged,
        claimed=known.claimed,
        in_session=_in_session(known.series, bars),
        adjustment=known.series.adjustment,
        has_volume=known.has_volume,
        may_be_negative=known.may_be_negative,
        splits=known.splits,
    )
    found = list(_believable(known.series, look(stretch, gaps=known.gaps, awaited=known.awaited)))
    kept = record_findings(
        known.series.id, found, inspected=part.judged, now=known.now, checks=INSPECTED
    )
    contradicted = compare_providers(known.series, stretch, start=start, end=end)
    compared = record_findings(
        known.series.id, contradicted, inspected=part.judged, now=known.now, checks=_COMPARED
    )
    return Inspected(
        len(bars),
        (*found, *contradicted),
        opened=kept.opened + compared.opened,
        resolved=kept.resolved + compared.resolved,
    )


def _in_session(series: SeriesRow, bars: Bars) -> Mask:
    """Tell which bars lie in the regular hours of their sessions."""
    if series.hours is Hours.REGULAR or not series.timeframe.is_intraday:
        return np.ones(len(bars), np.bool_)
    regular = expectation_for(
        venue=series.venue,
        timeframe=series.timeframe,
        hours=Hours.REGULAR,
        anchor=series.anchor,
    )
    return regular.on_grid(bars.ts)


def _believable(series: SeriesRow, found: list[Found]) -> Iterator[Found]:
    """Leave out what stands still together with all others of the venue."""
    for one in found:
        if one.kind not in _STANDING_STILL:
            yield one
            continue
        seen, moved = inspections.witnesses(series, Window.of_us(one.start_us, one.end_us))
        if moved or not seen:
            others = {"others_of_the_venue": seen, "of_them_moved": moved}
            yield replace(one, evidence={**one.evidence, **others})
