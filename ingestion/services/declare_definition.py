"""Declare a dataset that is to be kept, or forget that it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.db import transaction

from ingestion.calendars import sessions_for
from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.domain.spec import (
    DEFAULT_CONCURRENCY,
    HISTORICAL_PRIORITY,
    JobRequest,
)
from ingestion.domain.states import JobKind
from ingestion.services.add_verifications import add_verifications
from ingestion.services.check_settling import check_freshness
from ingestion.services.declare_schedule import check_name
from ingestion.services.resolve_request import resolve_request
from ingestion.store import audit
from ingestion.store.declarations import delete_definition, insert_definition
from providers.registry import get_adapter
from providers.types import Adjustment, Hours, Timeframe

DEFAULT_PRIORITY: Final = HISTORICAL_PRIORITY[JobKind.UPDATE]


@dataclass(frozen=True, slots=True)
class DefinitionRequest:
    """Describe a dataset; `providers` in order of preference.

    None means the provider's own `adjustment`, and as many `tries` as the retry class allows.
    """

    name: str
    symbols: Sequence[str]
    timeframe: Timeframe
    history_start: date
    providers: Sequence[str]
    adjustment: Adjustment | None = None
    hours: Hours = Hours.REGULAR
    venue: str = ""
    freshness: timedelta | None = None
    deadline: timedelta | None = None
    stale_after: timedelta | None = None
    priority: int = DEFAULT_PRIORITY
    weight: int = 1
    retry_class: str = "fast"
    tries: int | None = None
    max_concurrency: int = DEFAULT_CONCURRENCY


def check_definition(request: DefinitionRequest, *, now: datetime) -> None:
    """Refuse what its jobs would fail on, at each of its providers.

    Raises BadRequest, UnknownProvider, UnsupportedRequest, UnknownVenue and OutsideCalendar.
    """
    check_name(request.name, of="definition")
    if not request.providers:
        raise BadRequest("name at least one provider, such as yahoo", field="providers")
    if len(set(request.providers)) != len(request.providers):
        raise BadRequest("a provider is named twice; name each one once", field="providers")
    if not 1 <= request.weight <= 1000:
        raise BadRequest("a weight is a number from 1 to 1000", field="weight")
    check_freshness(request.freshness, providers=request.providers)
    for provider in request.providers:
        resolve_request(_job_of(request, provider), now=now)


def _job_of(request: DefinitionRequest, provider: str) -> JobRequest:
    return JobRequest(
        provider=provider,
        symbols=tuple(request.symbols),
        timeframes=(request.timeframe,),
        start=datetime.combine(request.history_start, time(), UTC),
        end=None,
        kind=JobKind.UPDATE,
        adjustment=request.adjustment,
        hours=request.hours,
        priority=request.priority,
        tries=request.tries,
        retry_class=request.retry_class,
        max_concurrency=request.max_concurrency,
    )


def declare_definition(
    request: DefinitionRequest,
    *,
    now: datetime,
    actor: Actor,
    verify_after: Sequence[timedelta] = (),
) -> int:
    """Add a definition and return its id; nothing is fetched before it is started or scheduled.

    Its sessions are verified at the ages `verify_after`, each by a schedule of its own. Raises what
    check_definition and add_verifications raise, and then nothing is added.
    """
    venue = sessions_for(request.venue).venue if request.venue else ""
    check_definition(request, now=now)
    columns = {
        "name": request.name,
        "symbols": list(request.symbols),
        "timeframe": request.timeframe.value,
        "adjustment": request.adjustment.value if request.adjustment else "",
        "hours": request.hours.value,
        "venue": venue,
        "history_start": request.history_start,
        "providers": [get_adapter(name).name for name in request.providers],
        "freshness": request.freshness,
        "deadline": request.deadline,
        "stale_after": request.stale_after,
        "priority": request.priority,
        "weight": request.weight,
        "retry_class": request.retry_class,
        "tries": request.tries,
        "max_concurrency": request.max_concurrency,
    }
    with transaction.atomic():
        definition_id = insert_definition(**columns)
        if definition_id is None:
            raise BadRequest(
                f"there is a definition named {request.name} already; choose another name, or "
                f"`mdc definition remove {request.name} --yes` first",
                field="name",
            )
        audit.record(
            actor=actor,
            action="job_definition.create",
            object_type="job_definition",
            object_id=definition_id,
            after={name: str(value) for name, value in columns.items() if value not in ("", None)},
        )
        if verify_after:
            add_verifications(request.name, ages=verify_after, now=now, actor=actor)
    return definition_id


def remove_definition(name: str, *, actor: Actor, reason: str = "") -> int:
    """Forget a definition with its schedules and their slots; return how many schedules it had.

    What it fetched stays, and jobs that it started go on. Raises UnknownDefinition.
    """
    with transaction.atomic():
        forgotten = delete_definition(name)
        audit.record(
            actor=actor,
            action="job_definition.delete",
            object_type="job_definition",
            object_id=forgotten.id,
            before={"name": name, "schedules": forgotten.count},
            reason=reason,
        )
    return forgotten.count
