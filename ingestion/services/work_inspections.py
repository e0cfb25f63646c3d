"""Work off what waits to be inspected, for a bounded time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from django.db import transaction

from ingestion.domain.checks.parts import Part
from ingestion.services.compare_providers import less_believed
from ingestion.services.inspect_part import (
    Inspected,
    Known,
    inspect_part,
    parts_to_inspect,
    read_inspected,
)
from ingestion.store import inspections
from ingestion.store.inspections import SETTLES, Pending

RUN_SECONDS = 25.0


@dataclass(frozen=True, slots=True)
class Worked:
    """Count what one run looked at, and what came of it."""

    series: int
    bars: int
    found: int
    opened: int
    resolved: int

    def __str__(self) -> str:
        return (
            f"{self.bars:,} bars of {self.series:,} series: {self.found:,} findings, "
            f"{self.opened:,} of them new, {self.resolved:,} resolved"
        )


def work_inspections(
    *, now: datetime, seconds: float = RUN_SECONDS, settled: timedelta = SETTLES
) -> Worked:
    """Inspect what has waited longest first, series by series; no part is begun after `seconds`.

    Two runs never look at once: the second ends without having looked. What cannot be inspected
    is put off by ten minutes, and the first such error is raised once all others had their turn.
    """
    end = monotonic() + seconds
    begun: set[int] = set()
    looked_at: set[int] = set()
    whole = Inspected()
    failed: Exception | None = None
    while monotonic() < end and (pending := inspections.oldest(besides=begun, settled=settled)):
        begun.add(pending.series_id)
        try:
            for one in _work(pending, now=now):
                looked_at.add(pending.series_id)
                whole = whole.join(one)
                if monotonic() >= end:
                    break
        except _SomebodyElse:
            break
        except Exception as error:  # noqa: BLE001 raised below, after the others
            inspections.put_off(pending.series_id)
            failed = failed or error
    if failed is not None:
        raise failed
    return Worked(len(looked_at), whole.bars, len(whole.found), whole.opened, whole.resolved)


class _SomebodyElse(Exception):
    """Signal that another inspector is at work."""


def _work(pending: Pending, *, now: datetime) -> Iterator[Inspected]:
    """Inspect what is pending of one series part by part, until more is queued meanwhile."""
    known = read_inspected(pending.series_id, now=now)
    # In a transaction of its own, since rows of inspections are locked by ascending series.
    inspections.queue_windows(
        (peer, window)
        for peer in less_believed(known.series)
        for window in pending.ranges.windows()
    )
    version: str | None = pending.version
    for part in parts_to_inspect(known, pending.ranges):
        if version is None:
            return
        inspected, version = _work_part(known, part, version=version)
        yield inspected


def _work_part(known: Known, part: Part, *, version: str) -> tuple[Inspected, str | None]:
    with transaction.atomic():
        if not inspections.try_to_be_alone():
            raise _SomebodyElse
        inspected = inspect_part(known, part)
        return inspected, inspections.strike(known.series.id, seen=part.judged, version=version)
