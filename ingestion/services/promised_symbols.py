"""Find what a definition promises: which symbols at which venues, and the series that may hold
them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.windows import to_us
from ingestion.store.definitions import DefinitionRow, definition_series
from ingestion.store.instrument_facts import instrument_facts, midnight
from ingestion.store.series_reads import SeriesRow
from providers.registry import get_adapter

_EVER: Final = np.iinfo(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Hold the symbols of a definition that trade at one venue.

    Symbol i is listed from label firsts[i] until before lasts[i], in µs; `series` are pairs of a
    symbol's place and a stored series that may hold it, at whichever of the providers.
    """

    definition: DefinitionRow
    venue: str
    symbols: tuple[str, ...]
    firsts: NDArray[np.int64]
    lasts: NDArray[np.int64]
    series: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Place:
    venue: str
    listed_from: date | None
    delisted_on: date | None


def promised_symbols(definitions: Mapping[int, DefinitionRow], *, today: date) -> list[Part]:
    """Split each definition by the venues of its symbols, in the order of names and venues.

    A symbol of which nothing is stored yet stands where its first job would look for it. Raises
    UnknownProvider.
    """
    stored = definition_series(definitions, every_provider=True)
    return [
        part
        for definition in definitions.values()
        for part in _parts(definition, stored[definition.id], today=today)
    ]


def _parts(
    definition: DefinitionRow, stored: Iterable[SeriesRow], *, today: date
) -> Iterable[Part]:
    held: dict[str, list[SeriesRow]] = {}
    for one in stored:
        held.setdefault(one.symbol, []).append(one)
    places = _places(definition, held, today=today)
    for venue in sorted({place.venue for place in places.values()}):
        symbols = [symbol for symbol in places if places[symbol].venue == venue]
        yield Part(
            definition=definition,
            venue=venue,
            symbols=tuple(symbols),
            firsts=_labels((places[one].listed_from for one in symbols), _EVER.min),
            lasts=_labels((places[one].delisted_on for one in symbols), _EVER.max),
            series=tuple(
                (place, series.id)
                for place, symbol in enumerate(symbols)
                for series in held.get(symbol, ())
            ),
        )


def _places(
    definition: DefinitionRow, held: Mapping[str, list[SeriesRow]], *, today: date
) -> dict[str, _Place]:
    """Return where each symbol trades, in the definition's order."""
    strange = [symbol for symbol in definition.symbols if symbol not in held]
    facts = (
        instrument_facts(
            strange,
            adapter=get_adapter(definition.providers[0]),
            venue=definition.venue or None,
            today=today,
        )
        if strange
        else {}
    )
    places = {}
    for symbol in definition.symbols:
        known = held[symbol][0] if symbol in held else facts[symbol].listing
        places[symbol] = _Place(known.venue, known.listed_from, known.delisted_on)
    return places


def _labels(days: Iterable[date | None], otherwise: int) -> NDArray[np.int64]:
    stamps = (midnight(day) for day in days)
    return np.array([to_us(one) if one else otherwise for one in stamps], np.int64)
