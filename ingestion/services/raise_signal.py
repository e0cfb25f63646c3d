"""Say that something happened, so that the schedules that wait for it start."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.domain.symbols import check_symbols
from ingestion.domain.windows import Window
from ingestion.store import signals
from ingestion.store.signals import NewSignal
from providers.types import Timeframe

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def raise_signal(
    name: str,
    *,
    actor: Actor,
    now: datetime,
    symbols: Sequence[str] = (),
    timeframe: Timeframe | None = None,
    window: Window | None = None,
    evidence: Mapping[str, Any] | None = None,
    reason: str = "",
) -> int:
    """Record a signal, wake the schedules that it concerns, and return its id.

    Joins the caller's transaction; several at once are `store.signals.raise_many`. Raises
    BadRequest for a name or symbol that cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"{name!r} is no name for a signal; use letters, digits, - and _, at most 64",
            field="name",
        )
    if symbols:
        check_symbols(symbols)
    told = NewSignal(
        name=name,
        symbols=tuple(dict.fromkeys(symbols)),
        timeframe=timeframe,
        window=window,
        evidence=evidence or {},
        reason=reason,
    )
    with transaction.atomic():
        (signal_id,) = signals.raise_many([told], actor=actor, now=now)
    return signal_id
