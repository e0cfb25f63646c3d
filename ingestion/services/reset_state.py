"""Doubt what is stored of series, so that the next run fetches it again as a reconciliation."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction

from ingestion.domain.actor import Actor
from ingestion.store import absences, audit, coverage, series_reads
from ingestion.store.bars import lock_series


def reset_state(*, series_ids: Sequence[int], actor: Actor, reason: str = "") -> int:
    """Forget coverage, proofs and missing sessions of series; return how many series there were.

    Bars stay. Whatever is fetched next of the doubted part is compared with them, and reported as
    unchanged, revised or vanished.
    """
    with transaction.atomic():
        found = [one.id for one in series_reads.select_series(ids=set(series_ids))]
        if not found:
            return 0
        lock_series(connection, found)
        coverage.doubt_loaded(found)
        absences.forget_absences(found)
        audit.record_each(
            actor=actor,
            action="series.reset",
            object_type="series",
            object_ids=sorted(found),
            reason=reason,
        )
    return len(found)
