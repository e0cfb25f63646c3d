"""Have split-adjusted history that was fetched before a split fetched again, as a whole."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ingestion.services.rebase_series import rebase_series
from ingestion.store.rebasing import rebased_series
from ingestion.store.series import load_facts


def doubt_rebased(*, now: datetime) -> int:
    """Doubt and repair the series that a stated split moved to a new basis; return how many.

    A provider of adjusted prices restates its whole history at a split. A fetch sees that by the
    bars beside its window; this sees it where no bar was compared.
    """
    found = rebased_series(now=now)
    facts = load_facts(one.series_id for one in found)
    for one in found:
        with transaction.atomic():
            rebase_series(
                facts[one.series_id],
                reason=(
                    f"the split of {one.symbol} on {one.ex_date} changed the basis of its history"
                ),
                evidence={"split": one.ex_date.isoformat()},
            )
    return len(found)
