"""One look at a stretch of a series: every check that needs nothing but the series itself."""

from __future__ import annotations

from collections.abc import Sequence

from ingestion.domain.checks.found import Found
from ingestion.domain.checks.sessions import find_empty_sessions, find_partial_sessions
from ingestion.domain.checks.spikes import find_spikes
from ingestion.domain.checks.standstill import find_stale, find_zero_volume
from ingestion.domain.checks.stretch import Stretch
from ingestion.domain.checks.values import find_contradictions, find_strays, sound
from ingestion.domain.coverage import Ranges
from ingestion.domain.gaps import Gap


def look(
    stretch: Stretch, *, gaps: Sequence[Gap] = (), awaited: Ranges | None = None
) -> list[Found]:
    """Return what all checks find in the judged part of a stretch.

    `gaps` are what coverage lacks of the series, `awaited` what somebody is about to ask for.
    Prices are judged by bars that are final and contradict nothing.
    """
    awaited = Ranges.empty() if awaited is None else awaited
    sane = sound(stretch.bars, may_be_negative=stretch.may_be_negative)
    prices = stretch.take(sane & stretch.bars.final)
    return [
        *find_contradictions(stretch),
        *find_strays(stretch),
        *find_empty_sessions(stretch, gaps, awaited=awaited),
        *find_partial_sessions(stretch),
        *find_spikes(prices),
        *find_stale(prices),
        *find_zero_volume(prices),
    ]
