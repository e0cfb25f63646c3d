"""Read definitions: what the user wants kept, and which stored series hold it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any, Final

from django.db import connection

from ingestion.domain.errors import UnknownDefinition
from ingestion.models import JobDefinition
from ingestion.store.series_reads import SERIES_LIMIT, SeriesRow, select_series
from providers.errors import UnknownProvider
from providers.registry import get_adapter
from providers.types import Adjustment, Hours, Timeframe


@dataclass(frozen=True, slots=True)
class DefinitionRow:
    """Hold one definition; `adjustment` is None where the provider's own basis is meant."""

    id: int
    name: str
    symbols: tuple[str, ...]
    timeframe: Timeframe
    adjustment: Adjustment | None
    hours: Hours
    venue: str
    history_start: date
    providers: tuple[str, ...]
    slice_span: timedelta | None
    max_slices_per_round: int
    max_concurrency: int
    tries: int | None
    freshness: timedelta | None
    deadline: timedelta | None
    stale_after: timedelta | None
    priority: int
    weight: int
    retry_class: str
    revision: int
    enabled: bool

    def basis_at(self, provider: str) -> Adjustment:
        """Return the price basis of this definition's bars at a provider.

        A provider that is unknown, or without this timeframe, has no basis of its own: raw.
        """
        if self.adjustment is not None:
            return self.adjustment
        try:
            declared = get_adapter(provider).capabilities.timeframes.get(self.timeframe)
        except UnknownProvider:
            return Adjustment.RAW
        return declared.adjustment if declared else Adjustment.RAW


_FIELDS: Final = tuple(field.name for field in fields(DefinitionRow))


def read_definition(name: str) -> DefinitionRow:
    """Return the definition of this name; raises UnknownDefinition."""
    found = JobDefinition.objects.filter(name=name).values_list(*_FIELDS).first()
    if found is None:
        raise UnknownDefinition(name)
    return _row(found)


def read_definitions(ids: Iterable[int] | None = None) -> dict[int, DefinitionRow]:
    """Return definitions by id, in the order of their names; all without `ids`."""
    rows = JobDefinition.objects.order_by("name")
    if ids is not None:
        rows = rows.filter(id__in=list(ids))
    return {row[0]: _row(row) for row in rows.values_list(*_FIELDS)}


def _row(row: Sequence[Any]) -> DefinitionRow:
    shape = (Timeframe(row[3]), Adjustment(row[4]) if row[4] else None, Hours(row[5]))
    id_, name, symbols, *_ = row
    venue, history_start, providers, *rest = row[6:]
    return DefinitionRow(
        *[id_, name, tuple(symbols), *shape, venue, history_start, tuple(providers), *rest]
    )


_SERIES_OF = """
SELECT d.id, s.id
FROM unnest(%(ids)s::bigint[], %(providers)s::text[], %(adjustments)s::text[])
  AS g(id, provider, adjustment)
JOIN job_definition d ON d.id = g.id
CROSS JOIN LATERAL unnest(d.symbols) AS wanted(symbol)
JOIN instrument i ON i.symbol = wanted.symbol
JOIN series s ON s.instrument_id = i.id AND s.provider = g.provider AND s.event_type = 'bar'
  AND s.timeframe = d.timeframe AND s.hours = d.hours AND s.adjustment = g.adjustment
"""


def definition_series(
    definition_ids: Iterable[int], *, every_provider: bool = False
) -> dict[int, list[SeriesRow]]:
    """Return, per definition, the stored series of its first provider, in listing order.

    With `every_provider` those of the others too, at which it may have been fetched instead. A
    symbol of which nothing is stored yet has none; a definition without any has an empty list.
    """
    found = read_definitions(definition_ids)
    places = [
        (one, provider)
        for one in found.values()
        for provider in (one.providers if every_provider else one.providers[:1])
    ]
    pairs = _series_ids(places)
    ids = sorted({series_id for _, series_id in pairs})
    rows = {one.id: one for part in _parts(ids) for one in select_series(ids=part)}
    of_each: dict[int, list[SeriesRow]] = {definition_id: [] for definition_id in found}
    for definition_id, series_id in pairs:
        if series_id in rows:
            of_each[definition_id].append(rows[series_id])
    return {
        definition_id: sorted(held, key=lambda one: one.sort_key)
        for definition_id, held in of_each.items()
    }


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for first in range(0, len(ids), SERIES_LIMIT):
        yield ids[first : first + SERIES_LIMIT]


def _series_ids(places: Sequence[tuple[DefinitionRow, str]]) -> list[tuple[int, int]]:
    if not places:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            _SERIES_OF,
            {
                "ids": [one.id for one, _ in places],
                "providers": [provider for _, provider in places],
                "adjustments": [one.basis_at(provider).value for one, provider in places],
            },
        )
        return [(int(definition_id), int(series_id)) for definition_id, series_id in cursor]
