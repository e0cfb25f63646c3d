"""What a check hands back: one thing that looks wrong, where, how bad, and by which numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingestion.domain.findings import Check, Severity


@dataclass(frozen=True, slots=True)
class Found:
    """Hold one thing found in one series over [start_us, end_us), µs in stamp space.

    `evidence` is ready for JSON: numbers, texts and lists of them, with stamps as ISO 8601. The
    start is part of a finding's identity: the same thing found again begins at the same stamp.
    """

    kind: Check
    severity: Severity
    start_us: int
    end_us: int
    evidence: Mapping[str, Any]
