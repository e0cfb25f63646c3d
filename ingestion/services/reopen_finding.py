"""Open a finding again that was closed too early."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import FindingRefused
from ingestion.domain.findings import UNSETTLED
from ingestion.store import findings


def reopen_finding(finding_id: int, *, actor: Actor, reason: str = "") -> None:
    """Open a resolved or accepted finding.

    Raises UnknownFinding, and FindingRefused for one that is open, or open under another number.
    """
    with transaction.atomic():
        (found,) = findings.lock([finding_id])
        if found.state in UNSETTLED:
            raise FindingRefused(finding_id, f"it is {found.state} already")
        findings.reopen([found], actor=actor, reason=reason)
