"""Keep what a look at a series found: open it, count it again, or let it be resolved."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ingestion.domain.checks.found import Found
from ingestion.domain.coverage import Ranges
from ingestion.domain.findings import INSPECTED, Check, grew_worse, series_fingerprint
from ingestion.domain.windows import Window, to_us
from ingestion.services.keep_findings import keep_findings
from ingestion.store import findings
from ingestion.store.findings import Accepted, Sighting


@dataclass(frozen=True, slots=True)
class Recorded:
    """Count what became of what was found.

    `accepted` was found where a person had said why it stays; `resolved` was open, lies in what was
    inspected, and is not found any more.
    """

    opened: int = 0
    again: int = 0
    accepted: int = 0
    resolved: int = 0


def record_findings(
    series_id: int,
    found: Sequence[Found],
    *,
    inspected: Ranges,
    now: datetime,
    checks: Collection[Check] = INSPECTED,
) -> Recorded:
    """Keep what `checks` found in the inspected windows of one series, in one transaction.

    What is unsettled already is counted once more with the new evidence; what a person accepted
    stays closed unless it grew worse; what is unsettled, lies wholly inside `inspected` and was not
    found is resolved. Findings that are new raise signals named like their kinds. Raises ValueError
    for a finding of a kind that is not among `checks`.
    """
    strange = {one.kind for one in found} - set(checks)
    if strange:
        raise ValueError(f"{', '.join(sorted(strange))}: found, but not looked for")
    seen = {series_fingerprint(one.kind, series_id, one.start_us): one for one in found}
    with transaction.atomic():
        accepted = findings.accepted(seen)
        sightings = [
            _sighting(series_id, one, fingerprint=fingerprint, accepted=accepted.get(fingerprint))
            for fingerprint, one in seen.items()
        ]
        worth_keeping = [one for one in sightings if one is not None]
        kept = keep_findings(worth_keeping, now=now)
        resolved = findings.resolve_unseen(
            series_id, kinds=checks, inspected=inspected, seen=seen, now=now
        )
    return Recorded(
        opened=len(kept.new),
        again=kept.again,
        accepted=len(sightings) - len(worth_keeping),
        resolved=resolved,
    )


def _sighting(
    series_id: int, one: Found, *, fingerprint: str, accepted: Accepted | None
) -> Sighting | None:
    """Return what is to be kept; None where a person accepted it and it is no worse now."""
    evidence = dict(one.evidence)
    if accepted is not None:
        worse = grew_worse(
            severity=one.severity,
            end_us=one.end_us,
            than_severity=accepted.severity,
            than_end_us=to_us(accepted.end) if accepted.end else one.end_us,
        )
        if not worse:
            return None
        evidence["worse"] = f"{worse} (finding {accepted.finding_id})"
    return Sighting(
        kind=one.kind,
        severity=one.severity,
        fingerprint=fingerprint,
        evidence=evidence,
        series_id=series_id,
        window=Window.of_us(one.start_us, one.end_us),
    )
