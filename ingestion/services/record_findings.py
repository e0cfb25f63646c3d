"""Keep what a look at a series found: open it, count it again, or let it be resolved."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from ingestion.domain.checks.found import Found
from ingestion.domain.coverage import Ranges
from ingestion.domain.findings import INSPECTED, Check


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
    raise NotImplementedError
