"""Declare what is so of one session of a venue."""

from __future__ import annotations

from datetime import datetime

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadOverride, BadRequest
from ingestion.domain.override_text import Statement, resolve
from ingestion.domain.overrides import Override
from ingestion.services.apply_calendar_change import (
    CalendarChange,
    apply_calendar_change,
    would_change,
)
from providers.venues import load_calendar


def declare_override(statement: Statement, *, actor: Actor, now: datetime) -> CalendarChange:
    """Declare one override; what holds already changes nothing.

    Raises BadOverride, BadRequest without a reason, OutsideCalendar and UnknownVenue.
    """
    return apply_calendar_change([meant(statement)], actor=actor, now=now)


def check_statement(statement: Statement) -> None:
    """Refuse what `declare_override` would refuse, and what holds already; changes nothing."""
    if not would_change([meant(statement)]):
        raise BadOverride(
            "that is declared already", venue=statement.venue, session=statement.session
        )


def meant(statement: Statement) -> tuple[Override, str]:
    """Return the override that a statement means on its venue's clock, and its reason."""
    if not statement.reason.strip():
        raise BadRequest("say why: an override without a reason helps nobody", field="reason")
    return resolve(statement, tz=load_calendar(statement.venue).tz), statement.reason.strip()
