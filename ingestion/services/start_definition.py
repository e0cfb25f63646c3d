"""Start a definition at once, because a person or a program asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.domain.schedules import ScheduleAction
from ingestion.domain.windows import Window
from ingestion.services.compose_job import Accounts, compose_job
from ingestion.store import fired_jobs
from ingestion.store.definitions import DefinitionRow, read_definition


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
        (job_id,) = fired_jobs.next_job_ids(1)
        said = f"{name}, started by {actor.name}" + (f": {reason}" if reason else "")
        job = compose_job(
            definition,
            job_id=job_id,
            chosen=Accounts(egress=egress).choose(definition),
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
