"""Compare a series with those of other providers that are believed more."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ingestion.domain.checks.disagreement import find_disagreements
from ingestion.domain.checks.found import Found
from ingestion.domain.checks.stretch import Stretch
from ingestion.domain.choosing import MADE_UP
from ingestion.store import series_reads
from ingestion.store.inspections import read_stored
from ingestion.store.series_reads import SeriesRow

_MOST_PEERS: Final = 5


def compare_providers(
    series: SeriesRow, stretch: Stretch, *, start: datetime, end: datetime
) -> list[Found]:
    """Return where a series contradicts another provider's of the same instrument and shape.

    The less believed of two is the one in doubt: higher precedence, or made later. Nobody has to
    agree with made-up prices.
    """
    found: list[Found] = []
    settled = stretch.take(stretch.bars.final)
    for peer in [one for one in peers_of(series) if _rank(one) < _rank(series)][:_MOST_PEERS]:
        bars = read_stored(peer.id, start=start, end=end)
        named = {"provider": peer.provider, "series_id": peer.id}
        found += find_disagreements(settled, bars.take(bars.final), named=named)
    return found


def less_believed(series: SeriesRow) -> list[int]:
    """Return the series that are to be compared with this one when it changes."""
    return [one.id for one in peers_of(series) if _rank(one) > _rank(series)]


def peers_of(series: SeriesRow) -> list[SeriesRow]:
    """Return the other providers' series of the same instrument and shape, real prices only."""
    if series.provider in MADE_UP:
        return []
    rows = series_reads.select_series(symbols=[series.symbol], timeframes=[series.timeframe])
    return sorted((one for one in rows if _is_peer(one, series)), key=_rank)


def _is_peer(one: SeriesRow, series: SeriesRow) -> bool:
    return (
        one.id != series.id
        and one.provider not in MADE_UP
        and (one.adjustment, one.hours, one.anchor)
        == (series.adjustment, series.hours, series.anchor)
    )


def _rank(one: SeriesRow) -> tuple[int, int]:
    return one.precedence, one.id
