"""Take one statement of a split or dividend back."""

from __future__ import annotations

from datetime import date

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.adjusting import BY_PEOPLE
from ingestion.domain.errors import BadRequest
from ingestion.services.add_action import action_facts
from ingestion.services.find_instrument import find_instrument
from ingestion.store import audit
from ingestion.store.actions import withdraw_actions
from providers.instruments import ActionKind, CorporateAction


def withdraw_action(
    symbol: str,
    *,
    ex_date: date,
    kind: ActionKind,
    actor: Actor,
    source: str = BY_PEOPLE,
    reason: str = "",
) -> CorporateAction:
    """Withdraw what a source stated; reads as of an earlier time still know it.

    Raises BadRequest where the source states no such action.
    """
    instrument = find_instrument(symbol)
    with transaction.atomic():
        gone = withdraw_actions(instrument.id, provider=source, ex_date=ex_date, kind=kind)
        if gone is None:
            raise BadRequest(
                f"{source} states no {kind} of {symbol} on {ex_date}; "
                f"`mdc actions list --symbols {symbol}` shows what is stated",
                field="ex_date",
            )
        audit.record(
            actor=actor,
            action="actions.withdraw",
            object_type="corporate_action",
            object_id=symbol,
            before=action_facts(gone, source=source),
            reason=reason,
        )
    return gone
