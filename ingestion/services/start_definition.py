"""Start a definition at once, because a person or a program asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.domain.schedules import ScheduleAction
from ingestion.domain.windows import Window
from ingestion.services.choose_account import Accounts
from ingestion.store import fired_jobs
from ingestion.store.definitions import DefinitionRow, read_definition
from ingestion.store.fired_jobs import NewJob
from ingestion.store.sequences import draw_ids


def start_definition(
    name: str,
    *,
    now: datetime,
    actor: Actor,
    action: ScheduleAction = ScheduleAction.UPDATE,
    symbols: Sequence[str] = (),
    window: Window | None = None,
    reason: str = "",
    egress: str = "default",
) -> int:
    """Queue one job of a definition and return its number; no schedule and no slot is involved.

    `symbols` are some of the definition's, none means all of them. Raises UnknownDefinition,
    BadRequest, UnknownProvider.
    """
    definition = read_definition(name)
    if action is ScheduleAction.INSPECT:
        raise BadRequest("an inspection is no job; `mdc inspect` starts one", field="action")
    _check_symbols(definition, symbols)
    with transaction.atomic():
        (job_id,) = draw_ids("job", 1)
        said = f"{name}, started by {actor.name}" + (f": {reason}" if reason else "")
        chosen = Accounts(egress=egress).choose(name, definition.providers)
        job = NewJob(
            id=job_id,
            definition_id=definition.id,
            provider=chosen.provider,
            account_id=chosen.account_id,
            action=action,
            due=now,
            reason=said,
            symbols=symbols,
            window=window,
        )
        fired_jobs.insert_jobs([job], now=now, actor=actor)
    return job_id


def _check_symbols(definition: DefinitionRow, symbols: Sequence[str]) -> None:
    others = [one for one in symbols if one not in definition.symbols]
    if others:
        raise BadRequest(
            f"{', '.join(others)} is not among the symbols of the definition {definition.name}",
            field="symbols",
        )
