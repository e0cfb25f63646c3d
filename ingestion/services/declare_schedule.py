"""Declare a schedule of a definition, or forget one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.domain.rules import Rule, rule_text, rule_to_json
from ingestion.domain.schedules import Catchup, Overlap, ScheduleAction
from ingestion.services.check_schedule import When, check_when
from ingestion.services.recompute_fires import recompute_fires
from ingestion.store import audit
from ingestion.store.declarations import delete_schedule, insert_schedule
from ingestion.store.definitions import read_definition

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_COOLDOWN: Final = timedelta(minutes=5)
_GATHER: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class ScheduleRequest:
    """Describe a schedule; an empty `tz` is the venue's, an empty `venue` the definition's."""

    name: str
    definition: str
    rule: Rule
    action: ScheduleAction = ScheduleAction.UPDATE
    tz: str = ""
    venue: str = ""
    overlap: Overlap = Overlap.SKIP
    catchup: Catchup = Catchup.LATEST
    max_lateness: timedelta | None = None
    jitter: timedelta | None = None
    cooldown: timedelta = _COOLDOWN
    gather: timedelta = _GATHER
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    exclusions: Sequence[Any] = ()
    pause_after_failures: int | None = None


def check_name(name: str, *, of: str) -> None:
    """Refuse what is no name for a definition or schedule. Raises BadRequest."""
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"{name!r} is no name for a {of}; use up to 100 letters, digits, - and _,"
            " such as nightly-us",
            field="name",
        )


def declare_schedule(
    request: ScheduleRequest, *, now: datetime, actor: Actor, reason: str = ""
) -> int:
    """Add a schedule and return its id; it is due from now on.

    Raises BadRequest, BadRule, UnknownDefinition and CalendarEnds.
    """
    check_name(request.name, of="schedule")
    definition = read_definition(request.definition)
    counts = check_when(
        When(
            rule=request.rule,
            tz=request.tz,
            venue=request.venue or definition.venue,
            starts_at=request.starts_at,
            ends_at=request.ends_at,
            jitter=request.jitter,
            max_lateness=request.max_lateness,
            cooldown=request.cooldown,
            gather=request.gather,
            exclusions=request.exclusions,
        ),
        now=now,
    )
    with transaction.atomic():
        schedule_id = insert_schedule(
            name=request.name,
            definition_id=definition.id,
            action=request.action.value,
            rule=rule_to_json(request.rule),
            tz=counts.tz,
            venue=counts.venue,
            overlap=request.overlap.value,
            catchup=request.catchup.value,
            max_lateness=request.max_lateness,
            jitter=request.jitter,
            cooldown=request.cooldown,
            gather=request.gather,
            starts_at=request.starts_at,
            ends_at=request.ends_at,
            exclusions=list(request.exclusions),
            pause_after_failures=request.pause_after_failures,
        )
        if schedule_id is None:
            raise BadRequest(
                f"there is a schedule named {request.name} already; choose another name, or "
                f"`mdc schedule remove {request.name} --yes` first",
                field="name",
            )
        audit.record(
            actor=actor,
            action="schedule.create",
            object_type="schedule",
            object_id=schedule_id,
            after={
                "name": request.name,
                "definition": request.definition,
                "action": request.action.value,
                "rule": rule_text(request.rule),
            },
            reason=reason,
        )
        recompute_fires(now=now, schedule_ids=[schedule_id])
    return schedule_id


def remove_schedule(name: str, *, actor: Actor, reason: str = "") -> int:
    """Forget a schedule and its slots; return how many slots it had. Raises UnknownSchedule.

    Jobs that it started go on.
    """
    with transaction.atomic():
        forgotten = delete_schedule(name)
        audit.record(
            actor=actor,
            action="schedule.delete",
            object_type="schedule",
            object_id=forgotten.id,
            before={"name": name, "slots": forgotten.count},
            reason=reason,
        )
    return forgotten.count
