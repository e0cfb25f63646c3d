"""Commit bars as a finish does, deliver them, and keep what a consumer would know of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np
from django.db import connection, transaction

from ingestion.domain.delivery import Batch, Part
from ingestion.domain.errors import DeliveryFailed
from ingestion.domain.windows import DAY_US, Window, to_us
from ingestion.models import Job
from ingestion.services.declare_target import TargetRequest, declare_target
from ingestion.services.deliver_batch import Delivered, deliver_batch
from ingestion.store import outbox
from ingestion.store.attempts import next_attempt_ids
from ingestion.store.bars import SeriesBars, write_bars
from ingestion.store.outbox import Committed
from ingestion.store.targets import TargetRow
from providers.bars import Bars
from tests.protocol.scene import TESTER, open_queued, sql, value

FIRST = to_us(datetime(2024, 1, 1, tzinfo=UTC))
Key = tuple[str, str, str, int, int]


def a_job(*symbols: str, targets: Sequence[str] | None = None) -> dict[str, int]:
    """Open a job of daily series at the synthetic provider; return {symbol: series id}."""
    job_id = open_queued(*(symbols or ("AAA",)))
    job = Job.objects.get(id=job_id)
    job.targets = None if targets is None else list(targets)
    job.save(update_fields=["targets"])
    return {one["symbol"]: one["series_id"] for one in job.spec["series"]}


def newest_job() -> int:
    """Return the job that was opened last."""
    return int(value("SELECT max(id) FROM job"))


def daily(first: int, count: int, *, price: float = 10.0, absent: bool = False) -> Bars:
    """Make `count` daily bars from day `first` of 2024 on, all at one price."""
    level = np.full(count, price)
    return Bars.build(
        ts=FIRST + (first + np.arange(count)) * DAY_US,
        open=level,
        high=level,
        low=level,
        close=level,
        volume=None if absent else np.full(count, 1000.0),
        trades=None if absent else np.full(count, 7),
    )


def commit(series_id: int, bars: Bars) -> int:
    """Store bars and note them for the targets, as a finish does; return the attempt."""
    (attempt_id,) = next_attempt_ids(1)
    window = Window.of_us(int(bars.ts[0]), int(bars.ts[-1]) + DAY_US)
    with transaction.atomic():
        write_bars(
            connection,
            [SeriesBars(series_id, attempt_id, window.start_us, window.end_us, bars)],
        )
        outbox.enqueue([Committed(newest_job(), series_id, attempt_id, window, len(bars))])
    return attempt_id


def declare(name: str = "sink", kind: str = "webhook", **request: Any) -> int:
    """Declare a target and return its id."""
    return declare_target(TargetRequest(name, kind, **request), actor=TESTER)


@dataclass(slots=True)
class Consumer:
    """Receive batches, drop repeats by the dedupe key, and order versions by known_from."""

    answers: list[str] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    latest: dict[Key, tuple[int, float]] = field(default_factory=dict)
    steps_back: int = 0

    def __call__(self, target: TargetRow) -> Consumer:
        """Open as a sink."""
        return self

    def deliver(self, batch: Batch) -> None:
        """Take the batch, or do as the next of `answers` says."""
        answer = self.answers.pop(0) if self.answers else "take"
        if answer == "refuse":
            raise DeliveryFailed("not now")
        self.batches.append(batch)
        for part in batch.parts:
            for key, version in versions(part):
                self.steps_back += key in self.latest and version < self.latest[key]
                self.latest[key] = max(version, self.latest.get(key, version))
        if answer == "die":
            raise ConnectionResetError("it took the batch, but nobody heard of it")


def versions(part: Part) -> Iterable[tuple[Key, tuple[int, float]]]:
    """Yield (dedupe key, (known from, close)) of each bar."""
    one = part.series
    for row in range(len(part)):
        key = (one.provider, one.symbol, one.timeframe, int(part.bars.ts[row]), 0)
        yield key, (int(part.known_from_us[row]), float(part.bars.close[row]))


def stored() -> dict[Key, tuple[int, float]]:
    """Return what the bar table holds, in the words of a consumer."""
    rows = sql(
        "SELECT s.provider, i.symbol, s.timeframe, b.ts, b.sequence, b.known_from, b.close"
        " FROM bar b JOIN series s ON s.id = b.series_id"
        " JOIN instrument i ON i.id = s.instrument_id"
    )
    return {
        (provider, symbol, timeframe, to_us(ts), sequence): (to_us(known_from), close)
        for provider, symbol, timeframe, ts, sequence, known_from, close in rows
    }


def deliver_next(target_id: int, consumer: Callable[[TargetRow], Any]) -> Delivered:
    """Deliver one batch as a worker of its own, whose lease is over when it is done."""
    token = uuid4()
    make_due(target_id)
    try:
        return deliver_batch(target_id, token=token, open_sink=consumer, random01=0.5)
    finally:
        sql("UPDATE target SET lease_token = NULL, lease_until = NULL WHERE id = %s", target_id)


def drain(target_id: int, consumer: Callable[[TargetRow], Any]) -> int:
    """Deliver until nothing is noted; return how many batches that took."""
    batches = 0
    while value("SELECT count(*) FROM outbox WHERE target_id = %s", target_id):
        done = deliver_next(target_id, consumer)
        batches += bool(done.bars)
        assert batches < 1000
    return batches


def make_due(target_id: int) -> None:
    """Let a target try again without waiting."""
    sql("UPDATE target SET next_attempt_at = clock_timestamp() WHERE id = %s", target_id)
