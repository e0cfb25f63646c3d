"""Deliver what is noted for one target, for a bounded time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from uuid import uuid4

from ingestion.services.deliver_batch import OpenSink, deliver_batch
from ingestion.store import targets

RUN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """Count what one run delivered."""

    batches: int
    bars: int

    def __str__(self) -> str:
        return f"{self.bars:,} bars in {self.batches:,} batches"


def deliver_target(
    target_id: int,
    *,
    open_sink: OpenSink,
    random: Callable[[], float],
    seconds: float = RUN_SECONDS,
) -> DeliveryReport:
    """Deliver batch after batch until nothing is due; none is begun after `seconds`."""
    token = uuid4()
    end = monotonic() + seconds
    batches = bars = 0
    while True:
        done = deliver_batch(target_id, token=token, open_sink=open_sink, random01=random())
        batches += bool(done.bars)
        bars += done.bars
        if not done.more:
            break
        if monotonic() >= end:
            targets.release(target_id, token=token)
            break
    return DeliveryReport(batches, bars)
