"""Put what one try did into the form of the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

from ingestion.domain.states import AttemptOutcome
from ingestion.domain.windows import from_us
from ingestion.services.fetch_slice import Tally
from ingestion.services.validate_answer import Refused
from ingestion.store.attempts import AttemptRecord, RefusedRow
from ingestion.store.claim import Claimed


def build_attempt(
    claimed: Claimed,
    tally: Tally,
    *,
    attempt_id: int,
    account_id: int,
    executor_id: UUID,
    outcome: AttemptOutcome,
) -> AttemptRecord:
    """Return the record of a try at a claimed slice, with what it cost.

    One whose bars were compared with what is stored already is marked as `reconciled`.
    """
    begun = AttemptRecord.at(
        claimed,
        attempt_id=attempt_id,
        job_id=claimed.job_id,
        account_id=account_id,
        executor_id=executor_id,
        begun_at=tally.begun_at,
        outcome=outcome,
    )
    return replace(
        begun,
        requests=tally.requests,
        pages=tally.pages,
        waited=tally.waited,
        payload_sha=tally.payload_sha,
        adapter_version=tally.adapter_version,
        detail={"reconciled": True} if claimed.refetch and not claimed.covered else {},
    )


def build_refused(
    refused: Iterable[Refused], *, attempt_id: int, series_id: int
) -> list[RefusedRow]:
    """Return the rows of the quarantine."""
    return [
        RefusedRow(
            attempt_id=attempt_id,
            series_id=series_id,
            ts=from_us(row.ts_us) if row.ts_us is not None else None,
            reason=row.reason,
            raw=row.raw,
        )
        for row in refused
    ]
