"""Have a series fetched again as a whole once its provider has moved it to another basis."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from ingestion.domain.actor import SYSTEM
from ingestion.domain.findings import Check, Severity, series_fingerprint
from ingestion.domain.slicing import slice_span
from ingestion.domain.states import Workload
from ingestion.domain.windows import Window
from ingestion.services.keep_findings import keep_findings
from ingestion.services.reset_state import doubt_series
from ingestion.store import findings, slices
from ingestion.store.bars import lock_series
from ingestion.store.findings import Sighting
from ingestion.store.repair_jobs import Served, last_job, open_whole_repair
from ingestion.store.series import SeriesFacts
from providers.errors import UnknownProvider, UnsupportedRequest
from providers.registry import get_adapter

# A provider whose basis seems to move so often does not answer the same question alike: fetching
# the history again and again would only spend its limits.
_MOST_REPAIRS: Final = 3
_WITHIN: Final = timedelta(days=1)


def rebase_series(
    facts: SeriesFacts,
    *,
    reason: str,
    evidence: Mapping[str, Any],
    like: int | None = None,
    besides: Window | None = None,
    attempt_id: int | None = None,
) -> int | None:
    """Doubt a series as a whole and queue one repair of it; return the job.

    Runs in the caller's transaction, which may hold the locks of slices and series. The repair does
    as the job `like` did, or the one that last fetched the series, and asks for `besides` as well.
    What an earlier repair of the same kind has not begun is left to the new one. None where the
    series was repaired too often of late, or nobody can be asked: then the finding stays open.
    """
    now = lock_series(connection, [facts.series_id])
    doubt_series([facts.series_id], actor=SYSTEM, reason=reason)
    job_id = _open_repair(facts, reason=reason, like=like, besides=besides, now=now)
    told = dict(evidence)
    if job_id is None:
        told["unrepaired"] = (
            "nothing is asked again: the basis seems to change with every answer, or no job can"
            " ask; compare the provider's answers, then `mdc findings repair`"
        )
    keep_findings(
        [
            Sighting(
                kind=Check.BASIS_CHANGE,
                severity=Severity.ERROR if job_id is None else Severity.WARNING,
                fingerprint=series_fingerprint(Check.BASIS_CHANGE, facts.series_id),
                evidence={"reason": reason, **told},
                series_id=facts.series_id,
                attempt_id=attempt_id,
                job_id=job_id,
            )
        ],
        now=now,
    )
    return job_id


def _open_repair(
    facts: SeriesFacts, *, reason: str, like: int | None, besides: Window | None, now: datetime
) -> int | None:
    template = like or last_job(facts.series_id)
    recent = findings.count_since(facts.series_id, Check.BASIS_CHANGE, since=now - _WITHIN)
    served = _served(facts, now=now)
    if template is None or served is None or recent >= _MOST_REPAIRS:
        return None
    for earlier in findings.unsettled_of_series(facts.series_id, Check.BASIS_CHANGE):
        if earlier.job_id is not None:
            slices.supersede_ready(job_id=earlier.job_id, series_id=facts.series_id)
    return open_whole_repair(
        facts.series_id,
        like=template,
        besides=besides,
        served=served,
        reason=reason,
    )


def _served(facts: SeriesFacts, *, now: datetime) -> Served | None:
    """Say from which midnight on the provider still serves the series, and in which portions.

    None where it does not at all, such as a source of files that was removed.
    """
    query = facts.query(now - timedelta(days=1), now)
    try:
        capability = get_adapter(facts.provider).capability_for(query)
    except (UnknownProvider, UnsupportedRequest):
        return None
    span = slice_span(
        workload=Workload.HISTORICAL,
        timeframe=facts.timeframe,
        requested=None,
        capability=capability,
    )
    if capability.lookback is None:
        return Served(first=None, span=span)
    reach = now - capability.lookback + timedelta(days=1)
    return Served(first=reach.replace(hour=0, minute=0, second=0, microsecond=0), span=span)
