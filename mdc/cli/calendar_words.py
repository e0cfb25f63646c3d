"""Spell overrides for people and for programs."""

from __future__ import annotations

from datetime import date, datetime
from typing import assert_never
from zoneinfo import ZoneInfo

from ingestion.domain.overrides import Override, OverrideKind
from ingestion.services.list_overrides import ListedOverride
from mdc.cli.shapes import Shape


def override_words(one: Override, tz: str) -> str:
    """Say what an override does, on the venue's clock."""
    opens, closes = (hour(moment, one.session, tz) for moment in (one.opens_at, one.closes_at))
    match one.kind:
        case OverrideKind.CLOSED:
            return "closed"
        case OverrideKind.WITHDRAWN:
            return "as the calendar has it"
        case OverrideKind.HALT:
            return f"halted {opens} to {closes}"
        case OverrideKind.SPECIAL:
            return f"special session {opens} to {closes}"
        case OverrideKind.HOURS:
            stated = [f"opens {opens}" * bool(opens), f"closes {closes}" * bool(closes)]
            return ", ".join(filter(None, stated))
        case _:
            assert_never(one.kind)


def hour(moment: datetime | None, session: date, tz: str) -> str:
    """Spell an hour on the venue's clock; with the weekday where it is another day's."""
    if moment is None:
        return ""
    local = moment.astimezone(ZoneInfo(tz))
    return f"{local:%H:%M}" if local.date() == session else f"{local:%a %H:%M}"


def override_shape(one: ListedOverride) -> Shape:
    """Shape one statement with who made it, why and when."""
    row, override = one.row, one.row.override
    return {
        "revision": row.id,
        "venue": override.venue,
        "session": override.session,
        "kind": override.kind,
        "opens": override.opens_at,
        "closes": override.closes_at,
        "reason": row.reason,
        "declared_by": row.declared_by,
        "declared_at": row.declared_at,
        "source": row.source,
        "holds": one.holds,
    }
