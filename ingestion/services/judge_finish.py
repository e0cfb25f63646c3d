"""Judge what a batch of finished slices proves, and write coverage and absences."""

from __future__ import annotations

from collections.abc import Sequence

from ingestion.calendars import expectation_for
from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation
from ingestion.domain.judgement import Judgement, judge_coverage
from ingestion.domain.windows import to_us
from ingestion.services.fetch_slice import Fetched
from ingestion.store import absences, coverage
from ingestion.store.absences import Absence
from ingestion.store.coverage import Advance
from ingestion.store.series import SeriesFacts


def judge_finish(fetched: Sequence[Fetched], attempt_ids: Sequence[int]) -> None:
    """Advance coverage, proofs and missing sessions, in the transaction that wrote the bars."""
    known = coverage.known_coverage([(one.claimed.series_id, one.window) for one in fetched])
    advances: dict[int, Advance] = {}
    missing: list[Absence] = []
    not_listed: list[Absence] = []
    for one, attempt_id, before in zip(fetched, attempt_ids, known, strict=True):
        series_id = one.claimed.series_id
        first_us = int(one.bars.ts[0]) if len(one.bars) else None
        verdict = _judge(one, loaded=before.loaded, firsts=(first_us, before.first_us))
        advance = Advance(covered=verdict.covered, first_us=first_us)
        earlier = advances.get(series_id)
        advances[series_id] = earlier.join(advance) if earlier else advance
        spans = zip(verdict.missing.starts.tolist(), verdict.missing.ends.tolist(), strict=True)
        missing += [Absence(series_id, start, end, attempt_id) for start, end in spans]
        not_listed += [
            Absence(series_id, start, end, attempt_id) for start, end in verdict.not_listed
        ]
    coverage.advance_coverage(advances)
    absences.disprove_absences({series_id: one.covered for series_id, one in advances.items()})
    withdrawn = absences.prove_not_listed(not_listed, series_ids=list(advances))
    facts = {one.claimed.series_id: one.facts for one in fetched}
    absences.note_missing(
        [*missing, *(each for gone in withdrawn for each in _sessions(gone, facts))]
    )


def _judge(one: Fetched, *, loaded: Ranges, firsts: Sequence[int | None]) -> Judgement:
    facts, window = one.facts, one.window
    return judge_coverage(
        window=window,
        proven_until=one.proven_until_us,
        units=_expectation(facts).units_between(window.start_us, window.end_us),
        stamps=one.bars.ts,
        first_bar_ever=min((us for us in firsts if us is not None), default=None),
        listed_from=to_us(facts.listed_from) if facts.listed_from else None,
        loaded=loaded,
    )


def _sessions(gone: Absence, facts: dict[int, SeriesFacts]) -> list[Absence]:
    """Split a window into its sessions."""
    units = _expectation(facts[gone.series_id]).units_between(gone.start_us, gone.end_us)
    return [
        Absence(gone.series_id, start, end, gone.attempt_id)
        for start, end in zip(units.starts.tolist(), units.ends.tolist(), strict=True)
    ]


def _expectation(facts: SeriesFacts) -> Expectation:
    return expectation_for(
        venue=facts.venue, timeframe=facts.timeframe, hours=facts.hours, anchor=facts.anchor
    )
