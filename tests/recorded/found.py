"""Let the checks look at every recorded series, and judge what they find by what is true of it.

found.toml says by hand which findings are true oddities of the files and which are the market's
own; docs/data-notes.md gives the reasons.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np

from ingestion.calendars import expectation_for
from ingestion.domain.checks.disagreement import find_disagreements
from ingestion.domain.checks.found import Found
from ingestion.domain.checks.look import look
from ingestion.domain.checks.stretch import Stretch
from ingestion.domain.coverage import Ranges
from ingestion.domain.judgement import without_bars
from ingestion.domain.quality import validate
from ingestion.domain.windows import Window, from_us
from providers.adapters.files import Files
from providers.bars import Bars
from providers.files.declared import DeclaredSource
from providers.files.layout import parse_layout
from providers.files.source import Holding
from providers.types import BarQuery, Credentials, Hours

HERE = Path(__file__).parent
SOURCES = tomllib.loads((HERE / "sources.toml").read_text())
_LATE = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1e6)
_NO_EDGE = cast(Any, None)


@dataclass(frozen=True, slots=True)
class JudgedFindings:
    """Hold how many bars were looked at, and what was found: true, false, and not judged yet."""

    bars: int
    true: int
    false: int
    unknown: frozenset[str]
    lost: frozenset[str]

    @property
    def false_per_10000(self) -> float:
        """Return the share of false findings, those not judged yet among them."""
        return 10_000 * (self.false + len(self.unknown)) / self.bars


def judge_recorded(folder: Path) -> JudgedFindings:
    """Look at all recorded series with all checks, and sort what is found."""
    stated = tomllib.loads((HERE / "found.toml").read_text())
    true, false = frozenset(stated["true"]), frozenset(stated["false"])
    bars, named = 0, set()
    first: dict[tuple[str, ...], Bars] = {}
    for source, shape, stretch in _stretches(folder):
        bars += len(stretch.bars)
        found = look(stretch)
        if shape in first:
            found += find_disagreements(stretch, first[shape], named={})
        first.setdefault(shape, stretch.bars)
        named |= {_name(source, shape, one) for one in found}
    found_names = frozenset(named)
    return JudgedFindings(
        bars=bars,
        true=len(found_names & true),
        false=len(found_names & false),
        unknown=found_names - true - false,
        lost=(true | false) - found_names,
    )


def _name(source: str, shape: tuple[str, ...], found: Found) -> str:
    start = f"{from_us(found.start_us):%Y-%m-%dT%H:%M}"
    return " ".join((source, shape[0], shape[1], found.kind.value, start))


def _stretches(folder: Path) -> Iterator[tuple[str, tuple[str, ...], Stretch]]:
    for source, declared in SOURCES.items():
        adapter = Files(DeclaredSource(source, str(folder), parse_layout(declared)))
        for key, held in adapter.holdings().series.items():
            query = BarQuery(
                symbol=key.symbol,
                vendor_symbol=key.symbol,
                venue=held.venue,
                timeframe=key.timeframe,
                adjustment=key.adjustment,
                hours=key.hours,
                anchor=key.anchor,
                start=from_us(held.first),
                end=from_us(held.end),
            )
            stretch = _stretch(query, held, _read(adapter, query))
            shape = (
                key.symbol,
                *(one.value for one in (key.timeframe, key.adjustment, key.hours, key.anchor)),
            )
            if len(stretch.bars):
                yield source, shape, stretch


def _read(adapter: Files, query: BarQuery) -> Bars:
    parts, token = [], None
    while True:
        page = adapter.fetch_page(
            query, token=token, credentials=Credentials(), base_url="", edge=_NO_EDGE
        )
        parts.append(page.bars)
        token = page.next_token
        if token is None:
            return Bars.concat(parts)


def _stretch(query: BarQuery, held: Holding, bars: Bars) -> Stretch:
    """Wrap what mdc would store, with coverage of every session that has a bar."""

    def expectation(hours: Hours) -> Any:
        return expectation_for(
            venue=query.venue, timeframe=query.timeframe, hours=hours, anchor=query.anchor
        )

    expected = expectation(query.hours)
    good = validate(
        bars,
        window=Window.of_us(held.first, held.end),
        expectation=expected,
        as_of_us=_LATE,
        finality_delay_us=0,
        strict=True,
    ).good
    whole = Ranges.of([(held.first, held.end)])
    units = expected.units_between(held.first, held.end)
    return Stretch(
        bars=good,
        expectation=expected,
        judged=whole,
        claimed=whole.subtract(units.take(without_bars(units, good.ts)).ranges()),
        in_session=expectation(Hours.REGULAR).on_grid(good.ts)
        if query.timeframe.is_intraday
        else np.ones(len(good), np.bool_),
        adjustment=query.adjustment,
    )
