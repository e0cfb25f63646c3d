"""Let sessions be verified again at some ages, because vendors revise what they sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.domain.rules import AtSession, Edge, Of, span_words
from ingestion.domain.schedules import Catchup, Overlap, ScheduleAction
from ingestion.services.declare_schedule import ScheduleRequest, declare_schedule
from ingestion.services.promised_symbols import promised_symbols
from ingestion.store.definitions import read_definition
from providers.types import Timeframe

# A session is not verified at an age of minutes any more when it is a week old.
MAX_LATENESS: Final = timedelta(days=7)
_SECOND: Final = timedelta(seconds=1)
_SESSIONS: Final = {Timeframe.W1: Of.LAST_OF_WEEK, Timeframe.MO1: Of.LAST_OF_MONTH}


def add_verifications(
    name: str, *, ages: Sequence[timedelta], now: datetime, actor: Actor
) -> tuple[str, ...]:
    """Add to a definition one schedule per age and venue that fetches a session again and compares.

    Return the names of the schedules. All are added or none. Raises UnknownDefinition, and
    BadRequest for an age that is none, or a schedule that exists.
    """
    definition = read_definition(name)
    wanted = [age // _SECOND for age in dict.fromkeys(ages)]
    if not wanted or min(wanted) < 1:
        raise BadRequest(
            "name at least one age after the close, such as 1h,1d,7d", field="verify_after"
        )
    venues = [
        part.venue for part in promised_symbols({definition.id: definition}, today=now.date())
    ]
    requests = [
        ScheduleRequest(
            name=_name(name, seconds, venue=venue if len(venues) > 1 else ""),
            definition=name,
            rule=AtSession(Edge.CLOSE, seconds, _SESSIONS.get(definition.timeframe, Of.EACH)),
            action=ScheduleAction.VERIFY,
            venue=venue,
            # Each session is due its own look, also while that at an earlier one goes on.
            overlap=Overlap.BUFFER_ALL,
            catchup=Catchup.EACH,
            max_lateness=MAX_LATENESS,
        )
        for venue in venues
        for seconds in wanted
    ]
    with transaction.atomic():
        for request in requests:
            declare_schedule(request, now=now, actor=actor)
    return tuple(request.name for request in requests)


def _name(definition: str, seconds: int, *, venue: str) -> str:
    age = span_words(seconds).replace(" ", "")
    where = f"-{venue.replace('/', '-')}" if venue else ""
    return f"{definition}-verify-{age}{where}"
