"""Say how what is known of stored bars changed between two moments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from ingestion.domain.errors import BadRequest
from ingestion.services.find_series import find_series
from ingestion.services.select_bars import check_settled
from ingestion.store.bar_history import (
    BarChange,
    ChangeCounts,
    Span,
    count_changes,
    read_changes,
)
from ingestion.store.series_reads import SeriesRow
from providers.types import Timeframe

# Bounds the sort that one statement needs, whatever is compared.
_SERIES_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class SeriesDiff:
    """Hold how many bars of one series were added, changed and withdrawn."""

    series: SeriesRow
    counts: ChangeCounts

    @property
    def is_same(self) -> bool:
        """Tell whether nothing of the series changed."""
        return self.counts == ChangeCounts()


def diff_bars(
    span: Span,
    *,
    symbols: Sequence[str] = (),
    timeframes: Sequence[Timeframe] = (),
    provider: str | None = None,
) -> list[SeriesDiff]:
    """Count, per stored series, the final bars that were known otherwise at the later moment.

    Raises BadRequest for moments in the wrong order or not settled yet, and NothingStored.
    """
    _check(span)
    found = find_series(symbols=symbols, timeframes=timeframes, provider=provider)
    counts: dict[int, ChangeCounts] = {}
    for first in range(0, len(found), _SERIES_AT_ONCE):
        counts |= count_changes([one.id for one in found[first : first + _SERIES_AT_ONCE]], span)
    return [SeriesDiff(one, counts.get(one.id, ChangeCounts())) for one in found]


def changed_bars(diff: SeriesDiff, span: Span) -> Iterator[BarChange]:
    """Yield the bars that a series' counts are of, ascending; memory stays flat."""
    return iter(()) if diff.is_same else read_changes(diff.series.id, span)


def _check(span: Span) -> None:
    if span.later <= span.earlier:
        raise BadRequest(
            f"{_spell(span.later)} does not lie after {_spell(span.earlier)}; give the earlier"
            " moment first",
            field="as_of",
        )
    connection.ensure_connection()
    check_settled(connection.connection, span.later)


def _spell(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"
