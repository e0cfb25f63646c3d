"""Deliver one batch of committed bars to a target, at least once.

The notes of the outbox are taken in order and named on the target before anything leaves, so that
whoever has to repeat the delivery repeats the same notes under the same key. They are struck only
after the sink has returned, by the token that still holds the target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import numpy as np
from django.db import transaction

from ingestion.domain.actor import SYSTEM
from ingestion.domain.delivery import (
    Batch,
    Cut,
    Part,
    SeriesKey,
    batch_key,
    cut_at,
    delay_after,
    newest_versions,
)
from ingestion.domain.errors import DeliveryFailed
from ingestion.domain.windows import Window, from_us
from ingestion.store import audit, outbox, targets
from ingestion.store.crashpoints import crash_point
from ingestion.store.outbox import Entry, Noted
from ingestion.store.series_reads import SeriesRow, select_series
from ingestion.store.storable import storable_text
from ingestion.store.targets import TargetRow


class Sink(Protocol):
    """Hand a batch to wherever it is to go; returning means that it has arrived."""

    def deliver(self, batch: Batch) -> None:
        """Deliver, or raise DeliveryFailed; within a bounded time."""
        ...


OpenSink = Callable[[TargetRow], Sink]


@dataclass(frozen=True, slots=True)
class Delivered:
    """Count what left; `more` tells whether another batch may follow at once."""

    bars: int
    more: bool


@dataclass(frozen=True, slots=True)
class _Begun:
    target: TargetRow
    entries: tuple[Entry, ...]
    until_us: int | None
    rows_of_last: int
    batch: Batch


def deliver_batch(
    target_id: int, *, token: UUID, open_sink: OpenSink, random01: float
) -> Delivered:
    """Deliver the next batch of a target, or repeat the one that was begun before.

    A failure is noted on the target with the time of the next try, and nothing is lost; one that
    nobody foresaw is raised besides.
    """
    begun = _begin(target_id, token=token)
    if begun is None:
        return Delivered(0, more=False)
    crash_point("deliver.after_begin", subject=begun.target.name)
    try:
        if len(begun.batch):
            open_sink(begun.target).deliver(begun.batch)
    except DeliveryFailed as failure:
        _fail(begun.target, failure, token=token, random01=random01)
        return Delivered(0, more=False)
    except Exception as error:
        unforeseen = DeliveryFailed(
            f"the delivery broke off with {type(error).__name__}, which is a fault of mdc; "
            "the worker's log has the details"
        )
        _fail(begun.target, unforeseen, token=token, random01=random01)
        raise
    crash_point("deliver.before_end", subject=begun.target.name)
    return _end(begun, token=token)


def _begin(target_id: int, *, token: UUID) -> _Begun | None:
    """Lease the target and compose its batch; None where it is not ours or nothing is noted."""
    with transaction.atomic():
        target = targets.lease(target_id, token=token)
        if target is None:
            # It may still be held by this run, and was paused meanwhile.
            targets.release(target_id, token=token)
            return None
        begun = _repeat(target) if target.batch else _compose(target)
        if begun is None:
            targets.release(target_id, token=token)
        return begun


def _repeat(target: TargetRow) -> _Begun | None:
    """Compose a batch that was begun before from the very same notes."""
    assert target.batch is not None
    entries = outbox.take_again(target.id, ids=target.batch)
    if not entries:
        return _compose(target)
    if target.batch_until_us is not None:
        last = entries[-1]
        window = Window(last.window.start, from_us(target.batch_until_us))
        entries[-1] = Entry(last.id, last.series_id, window, last.attempt_id, last.rows)
    noted = outbox.read_bars(entries, each=None)
    whole = Cut(len(noted.bars), len(entries), target.batch_until_us)
    return _begun(target, entries, noted, whole)


def _compose(target: TargetRow) -> _Begun | None:
    """Compose the next batch and write down what it is made of."""
    entries = outbox.take(target.id, at_most=target.batch_size)
    if not entries:
        return None
    noted = outbox.read_bars(entries, each=target.batch_size + 1)
    cut = cut_at(
        position=noted.position,
        ts=noted.bars.ts,
        notes=len(entries),
        at_most=target.batch_size,
    )
    begun = _begun(target, entries[: cut.notes], noted, cut)
    targets.begin_batch(target.id, entries=[one.id for one in begun.entries], until_us=cut.until_us)
    return begun


def _begun(target: TargetRow, entries: Sequence[Entry], noted: Noted, cut: Cut) -> _Begun:
    position = noted.position[: cut.rows]
    key = batch_key(
        made_us=target.made_us, entries=[one.id for one in entries], until_us=cut.until_us
    )
    return _Begun(
        target=target,
        entries=tuple(entries),
        until_us=cut.until_us,
        rows_of_last=int((position == len(entries) - 1).sum()),
        batch=Batch(target.name, key, _parts(entries, noted, rows=cut.rows)),
    )


def _parts(entries: Sequence[Entry], noted: Noted, *, rows: int) -> tuple[Part, ...]:
    """Gather the rows by series, in the order in which the series first appear."""
    ids = np.array([one.series_id for one in entries], np.int64)
    series_of_row = ids[noted.position[:rows]]
    wanted = [int(one) for one in dict.fromkeys(series_of_row.tolist())]
    known = {row.id: row for row in select_series(ids=wanted)}
    parts = []
    for series_id in wanted:
        mine = np.flatnonzero(series_of_row == series_id)
        mine = mine[newest_versions(ts=noted.bars.ts[mine], sequence=noted.bars.sequence[mine])]
        parts.append(
            Part(
                series=_key_of(known[series_id]),
                bars=noted.bars.take(mine),
                known_from_us=noted.known_from_us[mine],
                attempt_id=noted.attempt_id[mine],
            )
        )
    return tuple(parts)


def _key_of(row: SeriesRow) -> SeriesKey:
    return SeriesKey(
        provider=row.provider,
        symbol=row.symbol,
        event_type=row.event_type,
        timeframe=row.timeframe.value,
        adjustment=row.adjustment.value,
        hours=row.hours.value,
        anchor=row.anchor.value,
    )


def _end(begun: _Begun, *, token: UUID) -> Delivered:
    """Count the delivery and strike its notes, unless the lease was lost meanwhile."""
    bars = len(begun.batch)
    with transaction.atomic():
        if not targets.end_batch(begun.target.id, token=token, bars=bars):
            return Delivered(0, more=False)
        outbox.strike(
            [one.id for one in begun.entries], until_us=begun.until_us, rows=begun.rows_of_last
        )
    crash_point("deliver.after_end", subject=begun.target.name)
    return Delivered(bars, more=True)


def _fail(target: TargetRow, failure: DeliveryFailed, *, token: UUID, random01: float) -> None:
    with transaction.atomic():
        ours = targets.fail_batch(
            target.id,
            token=token,
            error=storable_text(failure.message),
            delay=delay_after(
                failures=target.failures + 1, retry_after=failure.retry_after, random01=random01
            ),
            stop=failure.permanent,
        )
        if ours and failure.permanent:
            audit.record(
                actor=SYSTEM,
                action="target.stop",
                object_type="target",
                object_id=target.name,
                reason=storable_text(failure.message),
            )
