"""Start a definition at once, because a person or a program asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ingestion.domain.actor import Actor
from ingestion.domain.schedules import ScheduleAction
from ingestion.domain.windows import Window


def start_definition(
    name: str,
    *,
    now: datetime,
    actor: Actor,
    action: ScheduleAction = ScheduleAction.UPDATE,
    symbols: Sequence[str] = (),
    window: Window | None = None,
    reason: str = "",
) -> int:
    """Queue one job of a definition and return its number; no schedule and no slot is involved.

    `symbols` are cut to the definition's, none means all of them. Raises UnknownDefinition,
    BadRequest.
    """
    raise NotImplementedError
