"""Learn from a provider that asks for a slower pace."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ingestion.domain import pacing
from ingestion.domain.windows import to_us
from ingestion.store import budgets
from ingestion.store.clock import database_now
from providers.errors import ThrottledError

# How long nothing is sent after a 429 that names no time.
_UNSTATED_BLOCK_SECONDS = 1.0


def slow_down(error: ThrottledError, *, sent_at: datetime | None, account_id: int) -> None:
    """Block the account as the provider asks, and stretch its spacing once per episode."""
    with transaction.atomic():
        budgets.lock_account(account_id)
        seconds = error.retry_after if error.retry_after is not None else _UNSTATED_BLOCK_SECONDS
        budgets.block_account(account_id, seconds=seconds)
        now_us = to_us(database_now())
        sent_us = to_us(sent_at) if sent_at else now_us
        for budget_id, budget in budgets.lock_budgets(account_id, []).account:
            if isinstance(budget, pacing.QuotaBudget):
                continue
            slower = pacing.throttled(budget, sent_at_us=sent_us, now_us=now_us)
            if slower is not budget:
                budgets.save_pace(budget_id, slower)
