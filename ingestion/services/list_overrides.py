"""List what people declared of venues' sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ingestion.domain.overrides import what_holds
from ingestion.store.calendar_overrides import OverrideRow, list_statements


@dataclass(frozen=True, slots=True)
class ListedOverride:
    """Hold one statement, and whether it still holds."""

    row: OverrideRow
    holds: bool


def list_overrides(
    *,
    venue: str | None = None,
    start: date | None = None,
    end: date | None = None,
    every: bool = False,
) -> list[ListedOverride]:
    """List the overrides that hold, by venue and session; with `every` one, in the order declared.

    `start` and `end` bound the sessions, `end` exclusive.
    """
    rows = list_statements(venue=None if venue is None else venue.strip().upper())
    # Said again after it was taken back, the same words hold from then on.
    latest = {row.override: row.id for row in rows}
    held = {latest[one] for one in what_holds(row.override for row in rows)}
    listed = [
        ListedOverride(row, row.id in held)
        for row in rows
        if (every or row.id in held)
        and (start is None or row.override.session >= start)
        and (end is None or row.override.session < end)
    ]
    if every:
        return listed
    return sorted(listed, key=lambda one: (one.row.override.venue, one.row.override.session))
