"""Note the stored bars that a provider does not have any more; they stay until a person decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np

from ingestion.calendars import expectation_for
from ingestion.domain.actor import SYSTEM
from ingestion.domain.coverage import Stamps
from ingestion.domain.findings import Check, FindingState, Severity, series_fingerprint
from ingestion.domain.windows import Window, from_us, to_us
from ingestion.services.fetch_slice import Fetched
from ingestion.services.keep_findings import keep_findings
from ingestion.store import findings
from ingestion.store.bars import WriteCounts
from ingestion.store.clock import database_now
from ingestion.store.findings import FindingRow, Sighting

# A finding names each bar: more at once and nobody could read the row.
_STAMPS_EACH: Final = 1_000


def vanished_bars(one: Fetched, count: WriteCounts) -> Stamps:
    """Return the stamps, in µs, of stored bars of which an answer shows that they are gone.

    Only what was asked for again, and as far as the answer counts: neither what lies behind a
    truncation, nor what came and was refused, nor what may have come and was left out because it
    lies outside the hours of the series.
    """
    gone = count.vanished_ts
    if not one.claimed.refetch or not len(gone):
        return np.empty(0, np.int64)
    gone = gone[gone < _answered_until(one)]
    gone = gone[~np.isin(gone, _refused(one))]
    if one.outside_hours:
        facts = one.facts
        expectation = expectation_for(
            venue=facts.venue, timeframe=facts.timeframe, hours=facts.hours, anchor=facts.anchor
        )
        gone = gone[expectation.on_grid(gone)]
    return gone


def note_vanished(
    fetched: Sequence[Fetched], gone: Sequence[Stamps], attempt_ids: Sequence[int]
) -> None:
    """Keep what `vanished_bars` found of each answer, at the end of the finishing transaction.

    A stamp that an unsettled or accepted finding names already is not named again; what has come
    back is taken off, and a finding of which nothing is left is resolved.
    """
    again = [
        (one, stamps, number)
        for one, stamps, number in zip(fetched, gone, attempt_ids, strict=True)
        if one.claimed.refetch
    ]
    if not again:
        return
    known = findings.vanished_of({one.claimed.series_id for one, _, _ in again})
    if not known and not any(len(stamps) for _, stamps, _ in again):
        return
    now = database_now()
    named = {row.id: _stamps(row) for row in known}
    sightings: list[Sighting] = []
    for one, stamps, number in again:
        rows = [row for row in known if row.series_id == one.claimed.series_id]
        elsewhere = [named[row.id] for row in rows]
        new = np.setdiff1d(stamps, np.concatenate(elsewhere)) if elsewhere else stamps
        sightings += _new(one, new, attempt_id=number)
        for row in rows:
            if row.state is not FindingState.ACCEPTED:
                named[row.id] = _still_gone(named[row.id], one, stamps)
    changed = [row for row in known if len(named[row.id]) != len(_stamps(row))]
    back = [row for row in changed if not len(named[row.id])]
    if back:
        findings.settle(
            back, FindingState.RESOLVED, actor=SYSTEM, reason="the bars are back", now=now
        )
    sightings += [_fewer(row, named[row.id]) for row in changed if len(named[row.id])]
    keep_findings(sightings, now=now)


def _stamped(stamps: Stamps) -> dict[str, Any]:
    """Return the evidence of bars that vanished; `stamps` are all of them, as ISO 8601."""
    return {
        "bars": len(stamps),
        "stamps": [from_us(us).isoformat() for us in stamps.tolist()],
    }


def _answered_until(one: Fetched) -> int:
    end_us = one.window.end_us
    return end_us if one.proven_until_us is None else min(end_us, one.proven_until_us)


def _refused(one: Fetched) -> list[int]:
    return [row.ts_us for row in one.refused if row.ts_us is not None]


def _still_gone(named: Stamps, one: Fetched, gone: Stamps) -> Stamps:
    """Take off what an answer speaks of and does not lack."""
    spoken_of = (named >= one.window.start_us) & (named < _answered_until(one))
    spoken_of &= ~np.isin(named, _refused(one))
    kept: Stamps = named[~spoken_of | np.isin(named, gone)]
    return kept


def _new(one: Fetched, stamps: Stamps, *, attempt_id: int) -> Iterator[Sighting]:
    for first in range(0, len(stamps), _STAMPS_EACH):
        part = stamps[first : first + _STAMPS_EACH]
        series_id = one.claimed.series_id
        yield Sighting(
            kind=Check.VANISHED,
            severity=Severity.WARNING,
            # Told apart by their stamps: the number only keeps two of one start from being one.
            fingerprint=(
                f"{series_fingerprint(Check.VANISHED, series_id, int(part[0]))}:{attempt_id}"
            ),
            evidence=_stamped(part),
            series_id=series_id,
            window=Window(
                from_us(int(part[0])), from_us(int(part[-1])) + one.facts.timeframe.duration
            ),
            attempt_id=attempt_id,
        )


def _fewer(row: FindingRow, stamps: Stamps) -> Sighting:
    return Sighting(
        kind=row.kind,
        severity=row.severity,
        fingerprint=row.fingerprint,
        evidence=_stamped(stamps),
        series_id=row.series_id,
        window=row.window,
    )


def _stamps(row: FindingRow) -> Stamps:
    moments = [to_us(datetime.fromisoformat(text)) for text in row.evidence["stamps"]]
    return np.array(moments, np.int64)
