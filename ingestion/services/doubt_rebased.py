"""Doubt split-adjusted history that was fetched before a split, so that it is fetched again."""

from __future__ import annotations

from datetime import datetime

from ingestion.domain.actor import SYSTEM
from ingestion.services.reset_state import reset_state
from ingestion.store.rebasing import rebased_series


def doubt_rebased(*, now: datetime) -> int:
    """Reset the series that a split moved to a new basis; return how many.

    A provider of adjusted prices restates its whole history at a split, while a daily update asks
    for the newest session alone: without this the series would crash by the split's ratio.
    """
    found = rebased_series(now=now)
    for one in found:
        reset_state(
            series_ids=[one.series_id],
            actor=SYSTEM,
            reason=f"the split of {one.symbol} on {one.ex_date} changed the basis of its history",
        )
    return len(found)
