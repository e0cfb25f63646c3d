"""See what a declared source holds: read its files where their rows lie in time, write nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ingestion.domain.errors import BadRequest
from ingestion.domain.windows import from_us
from ingestion.store import file_sources
from providers.adapters.files import Files
from providers.files.declared import DeclaredSource
from providers.files.source import Problem
from providers.types import Adjustment, Anchor, Hours, Timeframe


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """Hold one series that the files hold, over the stamps [first, end).

    `unplaced` rows have no stamp that a calendar could hold; `venue` is empty where the layout
    declares none.
    """

    symbol: str
    timeframe: Timeframe
    adjustment: Adjustment
    hours: Hours
    anchor: Anchor
    venue: str
    first: datetime
    end: datetime
    rows: int
    unplaced: int
    files: int


@dataclass(frozen=True, slots=True)
class Discovered:
    """Hold what a source holds; `problems` are files that are left out, each with its reason."""

    source: DeclaredSource
    series: tuple[FoundSeries, ...]
    problems: tuple[Problem, ...]


def discover_files(name: str) -> Discovered:
    """Return what a declared source holds; raises BadRequest for a name nobody declared."""
    return discover_source(find_declared(name))


def find_declared(name: str) -> DeclaredSource:
    """Return a declaration; raises BadRequest, naming those there are."""
    cleaned = name.removeprefix("files:")
    source = file_sources.find_source(cleaned)
    if source is None:
        known = ", ".join(file_sources.source_names()) or "none yet; `mdc files add` declares one"
        raise BadRequest(f"no source is named {cleaned!r}; declared are: {known}", field="name")
    return source


def discover_source(source: DeclaredSource) -> Discovered:
    """Return what a source holds, declared or not yet; raises UnreadableFile."""
    holdings = Files(source).holdings()
    found = [
        FoundSeries(
            symbol=key.symbol,
            timeframe=key.timeframe,
            adjustment=key.adjustment,
            hours=key.hours,
            anchor=key.anchor,
            venue=one.venue,
            first=from_us(one.first),
            end=from_us(one.end),
            rows=one.rows,
            unplaced=one.unplaced,
            files=one.files,
        )
        for key, one in holdings.series.items()
    ]
    order = list(Timeframe)
    found.sort(key=lambda one: (one.symbol, order.index(one.timeframe), one.adjustment, one.hours))
    return Discovered(source, tuple(found), holdings.problems)
