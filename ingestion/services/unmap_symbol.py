"""Forget how a provider calls an instrument."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.services.show_symbol import unknown_symbol
from ingestion.store import audit, instruments
from ingestion.store.instruments import NameRow, names_as_dict
from providers.registry import get_adapter


def unmap_symbol(
    symbol: str,
    *,
    provider: str,
    vendor_symbol: str | None = None,
    actor: Actor,
    reason: str = "",
) -> tuple[NameRow, ...]:
    """Forget one name that a provider has for a symbol, or all of them; return those forgotten.

    What is stored stays. Raises BadRequest where there is nothing to forget.
    """
    provider = get_adapter(provider).name
    with transaction.atomic():
        row = instruments.find_instrument(symbol, lock=True)
        if row is None:
            raise unknown_symbol(symbol)
        gone = instruments.remove_names(row.id, provider=provider, vendor_symbol=vendor_symbol)
        if not gone:
            what = (
                f"{provider}'s {vendor_symbol} is not"
                if vendor_symbol
                else f"no name at {provider} is"
            )
            raise BadRequest(
                f"{what} mapped to {symbol}; `mdc symbols show {symbol}` lists its names",
                field="vendor_symbol",
            )
        audit.record(
            actor=actor,
            action="instrument.unmap",
            object_type="instrument",
            object_id=symbol,
            before=names_as_dict(gone, provider=provider),
            reason=reason,
        )
    return gone
