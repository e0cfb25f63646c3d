"""Let requests out on an account again after a person has seen to it."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.store import audit, budgets


def reopen_account(account_id: int, *, actor: Actor, reason: str = "") -> bool:
    """Close the account's circuit; return False where it was not open.

    A block that the provider asked for (Retry-After) stays: it ends by itself.
    """
    with transaction.atomic():
        if not budgets.close_circuit(account_id):
            return False
        audit.record(
            actor=actor,
            action="account.close_circuit",
            object_type="account",
            object_id=account_id,
            reason=reason,
        )
        return True
