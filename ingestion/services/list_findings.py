"""List findings, newest first, and show one."""

from __future__ import annotations

from collections.abc import Collection

from ingestion.domain.errors import UnknownFinding
from ingestion.domain.findings import Check, FindingState, Severity
from ingestion.store.finding_reads import ListedFinding, select_findings
from providers.types import Timeframe


def list_findings(
    *,
    states: Collection[FindingState] | None = None,
    kinds: Collection[Check] | None = None,
    severities: Collection[Severity] | None = None,
    symbols: Collection[str] | None = None,
    timeframes: Collection[Timeframe] | None = None,
    provider: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[ListedFinding]:
    """Return at most `limit` findings that pass every filter given.

    `before_id` is the number of the last finding of the page before.
    """
    return select_findings(
        states=states,
        kinds=kinds,
        severities=severities,
        symbols=symbols,
        timeframes=timeframes,
        provider=provider,
        before_id=before_id,
        limit=limit,
    )


def show_finding(finding_id: int) -> ListedFinding:
    """Return one finding; raises UnknownFinding."""
    found = select_findings(ids=[finding_id], limit=1)
    if not found:
        raise UnknownFinding(finding_id)
    return found[0]
