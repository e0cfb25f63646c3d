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
        if found:
            lock_series(connection, found)
            doubt_series(found, actor=actor, reason=reason)
    return len(found)


def doubt_series(series_ids: Sequence[int], *, actor: Actor, reason: str) -> None:
    """Do so in the transaction of a caller who has locked the series."""
    coverage.doubt_loaded(series_ids)
    absences.forget_absences(series_ids)
    audit.record_each(
        actor=actor,
        action="series.reset",
        object_type="series",
        object_ids=sorted(series_ids),
        reason=reason,
    )
