"""Take splits and dividends from a file."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from django.db import transaction

from ingestion.calendars import sessions_for
from ingestion.domain.action_files import (
    BadActionFile,
    Problem,
    ReadAction,
    check_source,
    read_csv,
    read_lean,
)
from ingestion.domain.actor import Actor
from ingestion.domain.adjusting import BY_PEOPLE, date_us
from ingestion.domain.errors import BadRequest
from ingestion.domain.windows import from_us
from ingestion.services.find_instrument import find_instrument
from ingestion.store import audit
from ingestion.store.actions import (
    InstrumentActions,
    InstrumentKey,
    find_instruments,
    record_instrument_actions,
)
from providers.instruments import CorporateAction


class ActionFormat(enum.StrEnum):
    """Name how a file states actions."""

    CSV = "csv"
    LEAN = "lean"


@dataclass(frozen=True, slots=True)
class Imported:
    """Count what a file stated; `left_out` are symbols of which nothing is known."""

    stated: int
    written: int
    left_out: tuple[str, ...]


def import_actions(
    text: str,
    *,
    name: str,
    form: ActionFormat,
    actor: Actor,
    symbol: str | None = None,
    source: str = BY_PEOPLE,
    known_only: bool = False,
) -> Imported:
    """Record every action of a file, or nothing of it; stating the same again changes nothing.

    `name` is the file's, for the audit ledger. Raises BadActionFile with every line that cannot
    be read or, unless `known_only`, names a symbol of which nothing is known.
    """
    check_source(source)
    if form is ActionFormat.LEAN:
        if symbol is None:
            raise BadRequest("a LEAN factor file names no symbol; give --symbol", field="symbol")
        read = _read_lean(text, symbol=symbol)
    else:
        read = read_csv(text, symbol=symbol)
    known = find_instruments({one.symbol for one in read})
    strange = [one for one in read if one.symbol not in known]
    if strange and not known_only:
        raise BadActionFile([_unknown(one) for one in strange])
    with transaction.atomic():
        written = record_instrument_actions(_statements(read, known, source=source))
        if written:
            audit.record(
                actor=actor,
                action="actions.import",
                object_type="corporate_action",
                object_id=name,
                after={"source": source, "stated": len(read) - len(strange), "rows": written},
            )
    return Imported(
        stated=len(read) - len(strange),
        written=written,
        left_out=tuple(dict.fromkeys(one.symbol for one in strange)),
    )


def _read_lean(text: str, *, symbol: str) -> list[ReadAction]:
    sessions = sessions_for(find_instrument(symbol).venue)

    def next_session(day: date) -> date | None:
        row = int(np.searchsorted(sessions.labels, date_us(day + timedelta(days=1))))
        return from_us(sessions.labels[row]).date() if row < len(sessions) else None

    return read_lean(text, symbol=symbol, next_session=next_session)


def _statements(
    read: Sequence[ReadAction], known: dict[str, InstrumentKey], *, source: str
) -> list[InstrumentActions]:
    by_symbol: dict[str, list[CorporateAction]] = {}
    for one in read:
        by_symbol.setdefault(one.symbol, []).append(one.action)
    return [
        InstrumentActions(known[symbol].id, provider=source, actions=tuple(actions))
        for symbol, actions in by_symbol.items()
        if symbol in known
    ]


def _unknown(read: ReadAction) -> Problem:
    return Problem(
        read.line,
        f"nothing is known of {read.symbol}; `mdc symbols add {read.symbol}` makes it known, "
        "--known-only leaves such lines out",
    )
