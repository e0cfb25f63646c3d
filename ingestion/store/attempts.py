"""Write the attempt ledger and the quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from django.db import connection

import ingestion
from ingestion.domain.states import AttemptOutcome
from ingestion.store.sequences import draw_ids
from ingestion.store.storable import storable_json


class Leased(Protocol):
    """Describe a slice in somebody's hands, as far as its attempt states it."""

    @property
    def slice_id(self) -> int: ...
    @property
    def series_id(self) -> int: ...
    @property
    def tries(self) -> int: ...
    @property
    def leased_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """Hold what one try did; `waited` is seconds by cause."""

    attempt_id: int
    slice_id: int
    job_id: int
    series_id: int
    account_id: int
    n: int
    executor_id: UUID | None
    leased_at: datetime
    begun_at: datetime | None
    outcome: AttemptOutcome
    requests: int = 0
    pages: int = 0
    waited: Mapping[str, float] = field(default_factory=dict)
    rows_in: int = 0
    inserted: int = 0
    unchanged: int = 0
    revised: int = 0
    vanished: int = 0
    quarantined: int = 0
    error_class: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    payload_sha: str = ""
    adapter_version: int = 1

    @classmethod
    def at(
        cls,
        leased: Leased,
        *,
        attempt_id: int,
        job_id: int,
        account_id: int,
        executor_id: UUID | None,
        begun_at: datetime | None,
        outcome: AttemptOutcome,
    ) -> AttemptRecord:
        """Begin the record of a try at a slice; what it did is added with `replace`."""
        return cls(
            attempt_id=attempt_id,
            slice_id=leased.slice_id,
            job_id=job_id,
            series_id=leased.series_id,
            account_id=account_id,
            n=leased.tries + 1,
            executor_id=executor_id,
            leased_at=leased.leased_at,
            begun_at=begun_at,
            outcome=outcome,
        )


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """Hold one row that validation refused, as the provider sent it."""

    attempt_id: int
    series_id: int
    ts: datetime | None
    reason: str
    raw: object


def next_attempt_ids(count: int) -> list[int]:
    """Draw attempt ids ahead of the rows, because bars carry them."""
    return draw_ids("attempt", count)


def insert_attempts(records: Sequence[AttemptRecord]) -> None:
    """Add attempts; `ended_at` is the moment of writing."""
    if not records:
        return
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY attempt (id, slice_id, job_id, series_id, account_id, n, executor_id, leased_at,"
            " begun_at, ended_at, outcome, requests, pages, waited, rows_in, inserted, unchanged,"
            " revised, vanished, quarantined, error_class, detail, payload_sha, code_version,"
            " adapter_version)"
            " FROM STDIN"
        ) as copy,
    ):
        for one in records:
            copy.write_row(
                [
                    one.attempt_id,
                    one.slice_id,
                    one.job_id,
                    one.series_id,
                    one.account_id,
                    one.n,
                    one.executor_id,
                    one.leased_at,
                    one.begun_at,
                    "now",
                    one.outcome.value,
                    one.requests,
                    one.pages,
                    storable_json(one.waited),
                    one.rows_in,
                    one.inserted,
                    one.unchanged,
                    one.revised,
                    one.vanished,
                    one.quarantined,
                    one.error_class,
                    storable_json(one.detail),
                    one.payload_sha,
                    ingestion.__version__,
                    one.adapter_version,
                ]
            )


def insert_refused(rows: Sequence[RefusedRow]) -> None:
    """Add refused rows to the quarantine."""
    if not rows:
        return
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY quarantine (attempt_id, series_id, ts, reason, raw) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(
                [
                    row.attempt_id,
                    row.series_id,
                    row.ts,
                    row.reason,
                    storable_json(row.raw),
                ]
            )
