"""Remove a watchlist; nothing that is stored of its symbols goes with it."""

from __future__ import annotations

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.services.show_watchlist import UnknownWatchlist
from ingestion.store import audit, watchlists


def delete_watchlist(name: str, *, actor: Actor, reason: str = "") -> None:
    """Delete one list; raises UnknownWatchlist."""
    with transaction.atomic():
        held = watchlists.lock_watchlist(name)
        if held is None:
            raise UnknownWatchlist(name)
        watchlists.delete_watchlist(name)
        audit.record(
            actor=actor,
            action="watchlist.delete",
            object_type="watchlist",
            object_id=name,
            before={"symbols": list(held)},
            reason=reason,
        )
