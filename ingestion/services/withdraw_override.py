"""Take back what was declared of one session of a venue."""

from __future__ import annotations

from datetime import date, datetime

from ingestion.domain.actor import Actor
from ingestion.domain.override_text import Statement
from ingestion.domain.overrides import OverrideKind
from ingestion.services.apply_calendar_change import CalendarChange
from ingestion.services.declare_override import declare_override


def withdraw_override(
    venue: str, session: date, *, reason: str, actor: Actor, now: datetime
) -> CalendarChange:
    """Let the session be as the calendar has it again; raises BadOverride if nothing is declared.

    The statements stay, and so does who took them back.
    """
    withdrawn = Statement(venue.strip().upper(), session, OverrideKind.WITHDRAWN, reason=reason)
    return declare_override(withdrawn, actor=actor, now=now)
