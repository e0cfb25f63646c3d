"""Close a finding because a person says why it stays."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from django.db import connection, transaction

from ingestion.calendars import expectation_for
from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest, FindingRefused
from ingestion.domain.findings import UNSETTLED, Check, FindingState
from ingestion.domain.windows import MICROSECOND, Window, to_us
from ingestion.store import audit, findings
from ingestion.store.bars import lock_series
from ingestion.store.bars_withdraw import withdraw_bars
from ingestion.store.emptied import explain_emptied
from ingestion.store.findings import FindingRow
from ingestion.store.series import load_facts


def accept_finding(
    finding_id: int, *, reason: str, actor: Actor, now: datetime, delete_bars: bool = False
) -> int:
    """Accept a finding; return how many bars were deleted with it.

    `delete_bars` is for bars that vanished at the provider: they leave the table and stay readable
    as of any earlier moment. Without it they stay. Raises BadRequest, UnknownFinding, and
    FindingRefused for one that is settled already or names no bars to delete.
    """
    if not reason.strip():
        raise BadRequest("say why it stays: --reason 'the exchange confirmed it'", field="reason")
    with transaction.atomic():
        if delete_bars:
            _lock_bars(finding_id)
        (found,) = findings.lock([finding_id])
        if found.state not in UNSETTLED:
            raise FindingRefused(finding_id, f"it is {found.state} already")
        deleted = _delete_bars(found, actor=actor, reason=reason) if delete_bars else 0
        findings.settle([found], FindingState.ACCEPTED, actor=actor, reason=reason.strip(), now=now)
    return deleted


def _lock_bars(finding_id: int) -> None:
    """Lock the series before the finding: that is the order in which everybody does."""
    (found,) = findings.read([finding_id])
    if found.kind is not Check.VANISHED or found.series_id is None:
        raise FindingRefused(
            finding_id, "only bars that vanished at the provider are deleted; leave that out"
        )
    lock_series(connection, [found.series_id])


def _delete_bars(found: FindingRow, *, actor: Actor, reason: str) -> int:
    assert found.series_id is not None  # as _lock_bars has seen, and a series never changes
    stamps = [to_us(datetime.fromisoformat(text)) for text in found.evidence["stamps"]]
    deleted = withdraw_bars(connection, found.series_id, stamps)
    explain_emptied(
        found.series_id, _sessions_of(found.series_id, stamps), attempt_id=found.attempt_id or 0
    )
    audit.record(
        actor=actor,
        action="bars.withdraw",
        object_type="series",
        object_id=found.series_id,
        after={"finding": found.id, "bars": deleted, "stamps": found.evidence["stamps"]},
        reason=reason,
    )
    return deleted


def _sessions_of(series_id: int, stamps: list[int]) -> list[Window]:
    """Return the sessions (days, weeks, months) that hold these stamps."""
    facts = load_facts([series_id])[series_id]
    expectation = expectation_for(
        venue=facts.venue, timeframe=facts.timeframe, hours=facts.hours, anchor=facts.anchor
    )
    length_us = facts.timeframe.duration // MICROSECOND
    units = expectation.units_between(min(stamps), max(stamps) + length_us)
    if not len(units):
        return []  # bars outside of every session left none empty
    places = np.searchsorted(units.full_starts, stamps, side="right") - 1
    held = np.unique(places[(places >= 0) & (stamps < units.full_ends[np.maximum(places, 0)])])
    return [
        Window.of_us(int(units.full_starts[place]), int(units.full_ends[place])) for place in held
    ]
