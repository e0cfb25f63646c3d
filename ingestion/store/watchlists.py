"""Keep named lists of symbols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models.functions import Now

from ingestion.models import Watchlist


@dataclass(frozen=True, slots=True)
class WatchlistRow:
    """Hold one list: its symbols in the order given, and when it last changed."""

    name: str
    symbols: tuple[str, ...]
    updated_at: datetime


def select_watchlists(names: Sequence[str] | None = None) -> list[WatchlistRow]:
    """Return the lists of these names, or all, in order of name by code point."""
    found = Watchlist.objects.all()
    if names is not None:
        found = found.filter(name__in=names)
    rows = [WatchlistRow(one.name, tuple(one.symbols), one.updated_at) for one in found]
    return sorted(rows, key=lambda one: one.name)


def lock_watchlist(name: str) -> tuple[str, ...] | None:
    """Return the symbols of a list, which nobody else changes until the transaction ends."""
    row = Watchlist.objects.select_for_update().filter(name=name).first()
    return tuple(row.symbols) if row else None


def write_watchlist(name: str, symbols: Sequence[str]) -> None:
    """Make a list, or replace what it holds."""
    Watchlist.objects.update_or_create(
        name=name, defaults={"symbols": list(symbols), "updated_at": Now()}
    )


def delete_watchlist(name: str) -> None:
    """Remove a list; its symbols and their data stay."""
    Watchlist.objects.filter(name=name).delete()
