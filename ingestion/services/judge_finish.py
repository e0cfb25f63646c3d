"""Judge what a batch of finished slices proves, and write coverage and absences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ingestion.calendars import expectation_for
from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation, Units
from ingestion.domain.judgement import Judgement, judge_coverage, without_bars
from ingestion.domain.quality import Reason
from ingestion.domain.windows import Window, to_us
from ingestion.services.fetch_slice import Fetched
from ingestion.services.refresh_calendars import refresh_calendars
from ingestion.store import absences, coverage
from ingestion.store.absences import Absence
from ingestion.store.coverage import Advance
from ingestion.store.series import SeriesFacts

NOTHING = Ranges.empty()
_BARS_OF_BAD_VALUES = frozenset(
    {
        Reason.MISSING_VALUE,
        Reason.NON_FINITE,
        Reason.PRICE_NOT_POSITIVE,
        Reason.NEGATIVE,
        Reason.OHLC,
        Reason.DUPLICATE_CONFLICT,
    }
)


def judge_finish(fetched: Sequence[Fetched], attempt_ids: Sequence[int]) -> None:
    """Advance coverage, proofs and missing sessions, in the transaction that wrote the bars."""
    # Under the series' locks, which whoever changes a calendar takes too: what is judged by the
    # old one is doubted by that change, and nothing is judged by it afterwards.
    refresh_calendars()
    firsts = _first_bars(fetched)
    traded = _traded_sessions(fetched)
    advances: dict[int, Advance] = {}
    missing: list[Absence] = []
    not_listed: list[Absence] = []
    for one, attempt_id in zip(fetched, attempt_ids, strict=True):
        series_id = one.claimed.series_id
        verdict = _judge(one, traded=traded.get(series_id), first_us=firsts.get(series_id))
        _advance(
            advances,
            series_id,
            verdict.covered,
            first_us=firsts.get(series_id),
            judged=_proven_part(one),
        )
        missing += _absences(verdict.missing, series_id, attempt_id)
        missing += _absences(verdict.refused, series_id, attempt_id, refused=True)
        not_listed += [
            Absence(series_id, start, end, attempt_id) for start, end in verdict.not_listed
        ]
    for series_id, silent in _silent_parts(traded):
        _advance(advances, series_id, silent, first_us=None)
    coverage.advance_coverage(advances)
    absences.disprove_absences({series_id: one.covered for series_id, one in advances.items()})
    withdrawn = absences.prove_not_listed(not_listed, series_ids=list(advances))
    facts = {one.claimed.series_id: one.facts for one in fetched}
    absences.note_missing([*missing, *_unexplained(withdrawn, facts)], series_ids=list(advances))


def _absences(
    units: Units, series_id: int, attempt_id: int, *, refused: bool = False
) -> list[Absence]:
    return [
        Absence(series_id, start, end, attempt_id, refused)
        for start, end in zip(units.starts.tolist(), units.ends.tolist(), strict=True)
    ]


def _first_bars(fetched: Sequence[Fetched]) -> dict[int, int]:
    """Return the first bar ever of each series, this batch included.

    A bar whose values were refused is no price, but shows that the series existed.
    """
    firsts = coverage.first_bars({one.claimed.series_id for one in fetched})
    for one in fetched:
        seen = [row.ts_us for row in one.refused if row.reason in _BARS_OF_BAD_VALUES]
        seen += [int(one.bars.ts[0])] if len(one.bars) else []
        for first_us in seen:
            if first_us is not None:
                known = firsts.get(one.claimed.series_id, first_us)
                firsts[one.claimed.series_id] = min(known, first_us)
    return firsts


def _judge(one: Fetched, *, traded: Ranges | None, first_us: int | None) -> Judgement:
    facts, window = one.facts, one.window
    refused = [
        row.ts_us for row in one.refused if row.ts_us is not None and row.reason != Reason.EMPTY_ROW
    ]
    return judge_coverage(
        _expectation(facts),
        window=window,
        proven_until=one.proven_until_us,
        stamps=one.bars.ts,
        first_bar_ever=first_us,
        listed_from=to_us(facts.listed_from) if facts.listed_from else None,
        traded=traded,
        refused=np.array(refused, np.int64),
        labels=facts.labels,
    )


def _traded_sessions(fetched: Sequence[Fetched]) -> dict[int, Ranges]:
    """Find the sessions that an answer alone cannot judge, but of which a bar is stored by now."""
    doubtful = [
        (one.claimed.series_id, session) for one in fetched for session in _doubtful_sessions(one)
    ]
    if not doubtful:
        return {}
    traded: dict[int, Ranges] = {}
    for (series_id, session), has_bars in zip(
        doubtful, coverage.have_traded(doubtful), strict=True
    ):
        if has_bars:
            known = traded.get(series_id, Ranges.empty())
            traded[series_id] = known.union(Ranges.of_windows([session]))
    return traded


def _doubtful_sessions(one: Fetched) -> list[Window]:
    """List the sessions that the window cuts, and those whose bars may have vanished."""
    intraday = one.facts.timeframe.is_intraday
    if not intraday and not one.claimed.refetch:
        return []
    start_us, end_us = one.window.start_us, one.window.end_us
    if one.proven_until_us is not None:
        end_us = max(start_us, min(end_us, one.proven_until_us))
    units = _expectation(one.facts).units_between(start_us, one.window.end_us)
    units = units.clip(start_us, end_us)
    doubtful = (units.starts > units.full_starts) | (units.ends < units.full_ends)
    if one.claimed.refetch:
        doubtful |= without_bars(units, one.bars.ts)
    found = units.take(doubtful)
    return [
        Window.of_us(start, end)
        for start, end in zip(found.full_starts.tolist(), found.full_ends.tolist(), strict=True)
    ]


def _silent_parts(traded: Mapping[int, Ranges]) -> list[tuple[int, Ranges]]:
    """Find what earlier finishes saw empty of sessions that turn out to have traded."""
    sessions = [
        (series_id, session) for series_id, known in traded.items() for session in known.windows()
    ]
    if not sessions:
        return []
    absent = absences.absent_within(sessions)
    return [
        (series_id, parts) for (series_id, _), parts in zip(sessions, absent, strict=True) if parts
    ]


def _proven_part(one: Fetched) -> Ranges:
    """Return what an answer speaks of, whether it brought bars or not."""
    start_us, end_us = one.window.start_us, one.window.end_us
    if one.proven_until_us is not None:
        end_us = min(end_us, one.proven_until_us)
    return Ranges.of([(start_us, max(start_us, end_us))])


def _advance(
    advances: dict[int, Advance],
    series_id: int,
    covered: Ranges,
    *,
    first_us: int | None,
    judged: Ranges = NOTHING,
) -> None:
    advance = Advance(covered=covered, first_us=first_us, judged=judged)
    earlier = advances.get(series_id)
    advances[series_id] = earlier.join(advance) if earlier else advance


def _unexplained(withdrawn: Sequence[Absence], facts: Mapping[int, SeriesFacts]) -> list[Absence]:
    """Split withdrawn proofs into their sessions; the time between them is covered by silence."""
    found: list[Absence] = []
    between: dict[int, Advance] = {}
    for gone in withdrawn:
        units = _expectation(facts[gone.series_id]).units_between(gone.start_us, gone.end_us)
        rest = Ranges.of([(gone.start_us, gone.end_us)]).subtract(units.ranges())
        _advance(between, gone.series_id, rest, first_us=None)
        found += _absences(units, gone.series_id, gone.attempt_id)
    if between:
        coverage.advance_coverage(between)
    return found


def _expectation(facts: SeriesFacts) -> Expectation:
    return expectation_for(
        venue=facts.venue, timeframe=facts.timeframe, hours=facts.hours, anchor=facts.anchor
    )
