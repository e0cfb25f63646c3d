"""List recorded splits and dividends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ingestion.store.action_reads import KnownAction, actions_of


def list_actions(
    *, symbols: Sequence[str] = (), source: str | None = None, as_of: datetime | None = None
) -> list[KnownAction]:
    """Return what is known at `as_of` (None: now), announced ones included, by symbol and date."""
    return actions_of(symbols=symbols or None, provider=source, as_of=as_of, announced=True)
