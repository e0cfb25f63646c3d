"""Set a watchlist, add to it and take from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.domain.symbols import check_symbols
from ingestion.services.show_watchlist import UnknownWatchlist
from ingestion.store import audit, watchlists

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def set_watchlist(
    name: str, *, symbols: Sequence[str], actor: Actor, reason: str = ""
) -> tuple[str, ...]:
    """Make a list of these symbols, or replace what it holds; return them.

    Raises BadRequest for a name or symbol that cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"{name!r} is no name for a watchlist; use letters, digits, - and _, at most 64",
            field="name",
        )
    return _change(name, lambda held: tuple(symbols), actor=actor, reason=reason)


def add_to_watchlist(
    name: str, *, symbols: Sequence[str], actor: Actor, reason: str = ""
) -> tuple[str, ...]:
    """Append the symbols that a list lacks; return what it holds then.

    Raises UnknownWatchlist, and BadRequest for what cannot be a symbol.
    """
    return _change(
        name,
        lambda held: (*_of(name, held), *(one for one in symbols if one not in _of(name, held))),
        actor=actor,
        reason=reason,
    )


def remove_from_watchlist(
    name: str, *, symbols: Sequence[str], actor: Actor, reason: str = ""
) -> tuple[str, ...]:
    """Take symbols off a list; return what it holds then.

    Raises UnknownWatchlist, and BadRequest where a symbol is not on it or none would be left.
    """

    def rest(held: tuple[str, ...] | None) -> tuple[str, ...]:
        known = _of(name, held)
        strange = [one for one in symbols if one not in known]
        if strange:
            raise BadRequest(
                f"{', '.join(strange)} is not on the watchlist {name};"
                f" `mdc watchlist show {name}` lists what is",
                field="symbols",
            )
        left = tuple(one for one in known if one not in symbols)
        if not left:
            raise BadRequest(
                f"the watchlist {name} would be empty; `mdc watchlist delete {name}` removes it",
                field="symbols",
            )
        return left

    return _change(name, rest, actor=actor, reason=reason)


def _of(name: str, held: tuple[str, ...] | None) -> tuple[str, ...]:
    if held is None:
        raise UnknownWatchlist(name)
    return held


def _change(
    name: str,
    rule: Callable[[tuple[str, ...] | None], tuple[str, ...]],
    *,
    actor: Actor,
    reason: str,
) -> tuple[str, ...]:
    with transaction.atomic():
        before = watchlists.lock_watchlist(name)
        after = tuple(dict.fromkeys(rule(before)))
        check_symbols(after)
        if after == before:
            return after
        watchlists.write_watchlist(name, after)
        audit.record(
            actor=actor,
            action="watchlist.set",
            object_type="watchlist",
            object_id=name,
            before=None if before is None else {"symbols": list(before)},
            after={"symbols": list(after)},
            reason=reason,
        )
    return after
