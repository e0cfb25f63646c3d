"""Read watchlists: all of them, one, or the symbols of several."""

from __future__ import annotations

from collections.abc import Sequence

from ingestion.domain.errors import MdcError
from ingestion.store import watchlists
from ingestion.store.watchlists import WatchlistRow


class UnknownWatchlist(MdcError):
    """Signal a name that no watchlist has; `known` are some that exist."""

    def __init__(self, name: str, *, known: Sequence[str] = ()) -> None:
        some = f"; known: {', '.join(known)}" if known else ""
        super().__init__(
            f"there is no watchlist {name}{some}; `mdc watchlist set {name} SYMBOL ...` makes it"
        )
        self.name = name
        self.known = tuple(known)


_SOME = 10


def list_watchlists() -> tuple[WatchlistRow, ...]:
    """Return every watchlist, by name."""
    return tuple(watchlists.select_watchlists())


def show_watchlist(name: str) -> WatchlistRow:
    """Return one watchlist; raises UnknownWatchlist."""
    found = watchlists.select_watchlists([name])
    if not found:
        raise _unknown(name)
    return found[0]


def symbols_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return the symbols of several lists, each once; raises UnknownWatchlist."""
    found = {one.name: one.symbols for one in watchlists.select_watchlists(names)}
    for name in names:
        if name not in found:
            raise _unknown(name)
    return tuple(dict.fromkeys(symbol for name in names for symbol in found[name]))


def _unknown(name: str) -> UnknownWatchlist:
    known = [one.name for one in watchlists.select_watchlists()]
    return UnknownWatchlist(name, known=known[:_SOME])
