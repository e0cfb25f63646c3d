"""State one split or dividend."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.action_files import check_source, read_action
from ingestion.domain.actor import Actor
from ingestion.domain.adjusting import BY_PEOPLE
from ingestion.domain.errors import BadRequest
from ingestion.services.find_instrument import find_instrument
from ingestion.store import audit
from ingestion.store.actions import InstrumentActions, record_instrument_actions
from providers.instruments import CorporateAction


def add_action(
    symbol: str,
    *,
    ex_date: str,
    kind: str,
    value: str,
    actor: Actor,
    currency: str = "",
    source: str = BY_PEOPLE,
    reason: str = "",
) -> CorporateAction:
    """Record one action, replacing what the source said of the same day and kind.

    Raises BadRequest for what cannot be read, NothingStored for a symbol that is not known.
    """
    check_source(source)
    try:
        action = read_action(ex_date, kind, value, currency)
    except ValueError as error:
        raise BadRequest(str(error), field="value") from None
    instrument = find_instrument(symbol)
    statement = InstrumentActions(instrument.id, provider=source, actions=(action,))
    with transaction.atomic():
        if record_instrument_actions([statement]):
            audit.record(
                actor=actor,
                action="actions.add",
                object_type="corporate_action",
                object_id=symbol,
                after=action_facts(action, source=source),
                reason=reason,
            )
    return action


def action_facts(action: CorporateAction, *, source: str) -> dict[str, object]:
    """Return what the audit ledger keeps of an action."""
    return {
        "source": source,
        "ex_date": action.ex_date.isoformat(),
        "kind": action.kind.value,
        "value": action.value,
        "currency": action.currency,
    }
