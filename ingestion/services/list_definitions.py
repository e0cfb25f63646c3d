"""List definitions, or show one with its schedules and its last jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ingestion.services.list_schedules import Listed, list_schedules
from ingestion.store.definitions import (
    DefinitionRow,
    definition_series,
    read_definition,
    read_definitions,
)
from ingestion.store.job_reads import JobRow, select_jobs
from ingestion.store.schedule_reads import count_schedules, last_job_ids

_JOBS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class ListedDefinition:
    """Hold a definition and how many schedules it has."""

    definition: DefinitionRow
    schedules: int


@dataclass(frozen=True, slots=True)
class ShownDefinition:
    """Hold a definition, its schedules, its last jobs, and what is stored of it.

    `stored` counts series at its first provider; a symbol without one was never fetched there.
    """

    definition: DefinitionRow
    schedules: Sequence[Listed]
    jobs: Sequence[JobRow]
    stored: int


def list_definitions() -> list[ListedDefinition]:
    """Return every definition by name, in two queries."""
    counts: Mapping[int, int] = count_schedules()
    return [ListedDefinition(one, counts.get(one.id, 0)) for one in read_definitions().values()]


def show_definition(name: str) -> ShownDefinition:
    """Return one definition with what belongs to it. Raises UnknownDefinition."""
    found = read_definition(name)
    ids = last_job_ids(found.id, limit=_JOBS_SHOWN)
    return ShownDefinition(
        definition=found,
        schedules=list_schedules(definition=name),
        jobs=select_jobs(ids=ids, limit=_JOBS_SHOWN),
        stored=len(definition_series([found.id])[found.id]),
    )
