"""Declare the overrides of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.domain.override_text import BadOverrideFile, Statement, read_csv, read_toml
from ingestion.domain.overrides import Override
from ingestion.services.apply_calendar_change import CalendarChange, apply_calendar_change
from ingestion.services.declare_override import meant
from providers.venues import UnknownVenue


@dataclass(frozen=True, slots=True)
class Imported:
    """Say how many overrides a file states, and what changed by them."""

    stated: int
    change: CalendarChange


def import_overrides(text: str, *, name: str, actor: Actor, now: datetime) -> Imported:
    """Declare every override of a CSV or TOML file, in its order, or none of them.

    `name` is the file's, whose ending says what it is. Importing it again changes nothing. Raises
    BadOverrideFile with every part that cannot be read or does not name a session, BadOverride,
    OutsideCalendar.
    """
    statements = read_toml(text) if name.lower().endswith(".toml") else read_csv(text)
    return Imported(
        stated=len(statements),
        change=apply_calendar_change(_meant(statements), actor=actor, now=now),
    )


def _meant(statements: Sequence[Statement]) -> list[tuple[Override, str]]:
    found: list[tuple[Override, str]] = []
    problems: list[str] = []
    for one in statements:
        try:
            found.append(meant(one))
        except (BadRequest, UnknownVenue) as error:
            problems.append(f"{one.place}: {error}")
    if problems:
        raise BadOverrideFile(problems)
    return found
