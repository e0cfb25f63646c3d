"""Find one known instrument by its symbol."""

from __future__ import annotations

from ingestion.services.find_series import NothingStored
from ingestion.store.actions import InstrumentKey, find_instruments
from ingestion.store.series_reads import similar_symbols


def find_instrument(symbol: str) -> InstrumentKey:
    """Return an instrument; raises NothingStored, which names similar ones."""
    known = find_instruments({symbol})
    if symbol not in known:
        raise NothingStored(symbol, timeframes=(), similar=similar_symbols(symbol))
    return known[symbol]
