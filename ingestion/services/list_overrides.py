"""List what people declared of venues' sessions."""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.domain.overrides import what_holds
from ingestion.store.calendar_overrides import OverrideRow, list_statements
from providers.venue_rules import ALIASES


@dataclass(frozen=True, slots=True)
class ListedOverride:
    """Hold one statement, and whether it still holds."""

    row: OverrideRow
    holds: bool


def list_overrides(*, venue: str | None = None, every: bool = False) -> list[ListedOverride]:
    """List the overrides that hold, by venue and session; or every one, in the order declared."""
    rows = list_statements(venue=None if venue is None else venue.strip().upper())
    # Said again after it was taken back, the same words hold from then on.
    latest = {row.override: row.id for row in rows}
    held = {latest[one] for one in what_holds(row.override for row in rows)}
    if every:
        return [ListedOverride(row, row.id in held) for row in rows]
    holding = [ListedOverride(row, holds=True) for row in rows if row.id in held]
    return sorted(holding, key=lambda one: (one.row.override.venue, one.row.override.session))


def overrides_of(venue: str) -> list[ListedOverride]:
    """List the overrides by which a venue goes, those it shares with others included."""
    code = venue.strip().upper()
    stands_for = ALIASES.get(code, code)
    own = list_overrides(venue=code)
    if stands_for == code:
        return own
    stated = {one.row.override.session for one in own}
    shared = list_overrides(venue=stands_for)
    both = [*own, *(one for one in shared if one.row.override.session not in stated)]
    return sorted(both, key=lambda one: one.row.override.session)
