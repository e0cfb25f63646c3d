"""Show how definitions keep what they promise: by venue, and at which ages vendors revised."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ingestion.store import freshness, kpis
from ingestion.store.definitions import DefinitionRow, read_definition, read_definitions
from ingestion.store.freshness import Kept, Late, Watch
from ingestion.store.kpis import Verified


@dataclass(frozen=True, slots=True)
class DefinitionFreshness:
    """Hold one definition with a target, or with sessions that were verified.

    `watch` is None where nothing is judged; `late` are the newest sessions that were late.
    """

    definition: DefinitionRow
    watch: Watch | None
    kept: list[Kept] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)
    verified: list[Verified] = field(default_factory=list)

    @property
    def judged(self) -> int:
        """Return how many sessions were judged."""
        return sum(one.judged for one in self.kept)

    @property
    def on_time(self) -> int:
        """Return how many were complete when they were due."""
        return sum(one.on_time for one in self.kept)


def show_freshness(
    *, since: datetime, definition: str | None = None, late: int = 10
) -> list[DefinitionFreshness]:
    """Return the freshness of one definition, or of all that promise any, by name.

    Sessions and verifications since a moment are counted; `late` of the late sessions of each are
    listed. Raises UnknownDefinition.
    """
    ids = None if definition is None else [read_definition(definition).id]
    definitions = read_definitions(ids)
    watches = freshness.read_watches(ids)
    shown = {key: DefinitionFreshness(one, watches.get(key)) for key, one in definitions.items()}
    for kept in freshness.kept_since(since, definition_ids=ids):
        shown[kept.definition_id].kept.append(kept)
    for missed in freshness.late_sessions(since=since, each=late, definition_ids=ids):
        shown[missed.definition_id].late.append(missed)
    for verified in kpis.count_verified(since=since, definition_ids=ids):
        shown[verified.definition_id].verified.append(verified)
    return [
        one
        for one in shown.values()
        if definition is not None or one.definition.freshness or one.kept or one.verified
    ]
