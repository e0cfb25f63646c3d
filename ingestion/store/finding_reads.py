"""Read findings for people; every query is bounded by a page."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from django.db import connection

from ingestion.domain.findings import Check, FindingState, Severity
from ingestion.domain.windows import Window
from providers.types import Timeframe


@dataclass(frozen=True, slots=True)
class ListedFinding:
    """Hold a finding with the name of what it is about; no symbol where that is a provider."""

    id: int
    kind: Check
    severity: Severity
    state: FindingState
    provider: str
    symbol: str
    timeframe: Timeframe | None
    series_id: int | None
    window: Window | None
    evidence: Mapping[str, Any]
    attempt_id: int | None
    job_id: int | None
    times: int
    found_at: datetime
    seen_at: datetime
    closed_at: datetime | None
    closed_by: str
    reason: str


_LIST: Final = """
SELECT f.id, f.kind, f.severity, f.state, coalesce(s.provider, f.provider),
       coalesce(i.symbol, ''), s.timeframe, f.series_id, f."window", f.evidence::text,
       f.attempt_id, f.job_id, f.times, f.found_at, f.seen_at, f.closed_at, f.closed_by, f.reason
FROM finding f
LEFT JOIN series s ON s.id = f.series_id
LEFT JOIN instrument i ON i.id = s.instrument_id
WHERE (%(ids)s::bigint[] IS NULL OR f.id = ANY(%(ids)s))
  AND (%(states)s::text[] IS NULL OR f.state = ANY(%(states)s))
  AND (%(kinds)s::text[] IS NULL OR f.kind = ANY(%(kinds)s))
  AND (%(severities)s::text[] IS NULL OR f.severity = ANY(%(severities)s))
  AND (%(symbols)s::text[] IS NULL OR i.symbol = ANY(%(symbols)s))
  AND (%(timeframes)s::text[] IS NULL OR s.timeframe = ANY(%(timeframes)s))
  AND (%(provider)s::text IS NULL OR coalesce(s.provider, f.provider) = %(provider)s)
  AND (%(before)s::bigint IS NULL OR f.id < %(before)s)
ORDER BY f.id DESC
LIMIT %(limit)s
"""


def select_findings(
    *,
    ids: Collection[int] | None = None,
    states: Collection[FindingState] | None = None,
    kinds: Collection[Check] | None = None,
    severities: Collection[Severity] | None = None,
    symbols: Collection[str] | None = None,
    timeframes: Collection[Timeframe] | None = None,
    provider: str | None = None,
    before_id: int | None = None,
    limit: int,
) -> list[ListedFinding]:
    """Return at most `limit` findings, newest first, that pass every filter given."""
    with connection.cursor() as cursor:
        cursor.execute(
            _LIST,
            {
                "ids": None if ids is None else list(ids),
                "states": _texts(states),
                "kinds": _texts(kinds),
                "severities": _texts(severities),
                "symbols": _texts(symbols),
                "timeframes": _texts(timeframes),
                "provider": provider,
                "before": before_id,
                "limit": limit,
            },
        )
        return [_listed(row) for row in cursor.fetchall()]


def _texts(values: Collection[str] | None) -> list[str] | None:
    return None if values is None else [str(value) for value in values]


def _listed(row: tuple[Any, ...]) -> ListedFinding:
    return ListedFinding(
        id=row[0],
        kind=Check(row[1]),
        severity=Severity(row[2]),
        state=FindingState(row[3]),
        provider=row[4],
        symbol=row[5],
        timeframe=Timeframe(row[6]) if row[6] else None,
        series_id=row[7],
        window=Window(row[8].lower, row[8].upper) if row[8] else None,
        evidence=orjson.loads(row[9]),
        attempt_id=row[10],
        job_id=row[11],
        times=row[12],
        found_at=row[13],
        seen_at=row[14],
        closed_at=row[15],
        closed_by=row[16],
        reason=row[17],
    )
