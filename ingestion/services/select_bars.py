"""Read the bars of a selection: the one pipeline behind exports, notebooks and lakes.

Stored bars come in chunks, are adjusted where that is asked for, chosen from session by session
where several providers may serve, and put together to longer bars last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np
import psycopg

from ingestion.calendars import expectation_for, sessions_for
from ingestion.domain.adjusting import Factors, date_us
from ingestion.domain.choosing import NOBODY, Candidate, choose
from ingestion.domain.coverage import Ranges
from ingestion.domain.errors import BadRequest
from ingestion.domain.expectation import Expectation, Units
from ingestion.domain.resampling import Derived, Frame, Resampler
from ingestion.domain.selection import (
    BEST,
    Codes,
    SelectedChunk,
    SelectedSeries,
    Selection,
    Source,
)
from ingestion.domain.windows import from_us, to_us
from ingestion.services.select_series import select_series
from ingestion.services.series_factors import bar_labels, series_factors
from ingestion.store.bar_reads import CHUNK_ROWS, clock, read_bars, read_chunks, stamp_bounds
from ingestion.store.series_reads import Covered, read_covered
from providers.bars import Bars

__all__ = ["BEST", "SelectedChunk", "SelectedSeries", "Selection", "select_bars", "stream_series"]

# Whoever began to write before may still commit what was "known" then.
SETTLED_AFTER: Final = timedelta(seconds=60)
_FIRST, _LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def select_bars(
    connection: psycopg.Connection[Any], selection: Selection
) -> Iterator[SelectedChunk]:
    """Yield the bars of a selection, series by series, ascending by (ts, sequence).

    Memory stays flat. Everything is one state of the database if the caller holds a snapshot
    (ingestion.store.bar_reads). Raises BadRequest and what `select_series` raises before the
    first chunk.
    """
    check_settled(connection, selection.as_of)
    for series in select_series(connection, selection):
        yield from stream_series(connection, series, selection=selection)


def check_settled(connection: psycopg.Connection[Any], as_of: datetime | None) -> None:
    """Refuse a moment of which what was known then may still change; raises BadRequest."""
    if as_of is not None and as_of > clock(connection) - SETTLED_AFTER:
        raise BadRequest(
            f"{as_of:%Y-%m-%d %H:%M:%S}Z is not yet a minute ago, and what was known then may "
            "still be written down; give an earlier moment, or none for what is known now",
            field="as_of",
        )


def stream_series(
    connection: psycopg.Connection[Any], series: SelectedSeries, *, selection: Selection
) -> Iterator[SelectedChunk]:
    """Yield the bars of one series that `select_series` found."""
    reader = _Reader.open(connection, series, selection)
    rows = reader.best() if len(series.sources) > 1 else reader.single()
    chunks = reader.derive(rows) if series.is_derived else reader.plain(rows)
    for chunk in chunks:
        clipped = _clip(chunk, start=selection.start, end=selection.end)
        if len(clipped) or clipped.left_out:
            yield clipped


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Hold bars on their way, whose they are, and what is accounted for of their time."""

    bars: Bars
    codes: Codes | None = None
    covered: Ranges | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """Hold what the steps of one series share."""

    connection: psycopg.Connection[Any]
    series: SelectedSeries
    selection: Selection
    start: datetime | None
    end: datetime | None

    @classmethod
    def open(
        cls, connection: psycopg.Connection[Any], series: SelectedSeries, selection: Selection
    ) -> _Reader:
        """Widen the window to all bars that may go into what comes out of it."""
        start, end = selection.start, selection.end
        if series.is_derived:
            margin = series.timeframe.duration + timedelta(days=2)
            start = start and start - margin
            end = end and end + margin
        return cls(connection, series, selection, start, end)

    # --- stored bars ---------------------------------------------------------------------------

    def single(self) -> Iterator[_Rows]:
        """Yield the bars of the only source."""
        (source,) = self.series.sources
        covered = _accounted(self._covered()[0], source) if self.series.is_derived else None
        prepare = _Preparation.of(self, source)
        for bars in read_chunks(
            self.connection,
            source.series_id,
            start=self.start,
            end=self.end,
            as_of=self.selection.as_of,
        ):
            yield _Rows(prepare(bars), covered=covered)

    def best(self) -> Iterator[_Rows]:
        """Yield, for whole sessions at a time, the bars of the sources chosen."""
        sources = self.series.sources
        covered = self._covered()
        preparations = [_Preparation.of(self, source) for source in sources]
        for units, window in self._blocks():
            candidates = [
                Candidate(
                    prepare(
                        read_bars(
                            self.connection,
                            source.series_id,
                            start=window[0],
                            end=window[1],
                            as_of=self.selection.as_of,
                        )
                    ),
                    known.loaded if known else Ranges.empty(),
                )
                for source, prepare, known in zip(sources, preparations, covered, strict=True)
            ]
            chosen = choose(candidates, starts=units.starts, ends=units.ends)
            yield _Rows(chosen.bars, chosen.codes, self._covered_by(chosen.by_slot, units, covered))

    def _blocks(self) -> Iterator[tuple[Units, tuple[datetime | None, datetime | None]]]:
        """Cut the time that the sources hold into blocks of whole sessions."""
        bounds = stamp_bounds(self.connection, [one.series_id for one in self.series.sources])
        if bounds is None:
            return
        expectation = self.expectation()
        units = expectation.units
        low = max(bounds[0], to_us(self.start) if self.start else _FIRST)
        high = min(bounds[1], to_us(self.end) if self.end else _LAST)
        first = max(0, int(np.searchsorted(units.starts, low, side="right")) - 1)
        last = max(first + 1, int(np.searchsorted(units.starts, high, side="right")))
        per_session = expectation.accepted.before[-1] // max(1, len(units)) + 1
        step = max(1, CHUNK_ROWS // int(per_session) // len(self.series.sources))
        for at in range(first, last, step):
            until = min(at + step, last)
            # The first and the last block reach as far as there may be bars outside of sessions.
            window = (
                None if at == 0 else from_us(units.starts[at]),
                None if until >= len(units) else from_us(units.starts[until]),
            )
            yield units.take(slice(at, until)), window

    def _covered(self) -> list[Covered | None]:
        """Read what is accounted for per source; nothing is known of that as of another time."""
        sources = self.series.sources
        if self.selection.as_of is not None:
            return [None] * len(sources)
        read = read_covered([one.series_id for one in sources], connection=self.connection)
        return [read[one.series_id] for one in sources]

    def _covered_by(
        self, by_slot: Codes, units: Units, covered: list[Covered | None]
    ) -> Ranges | None:
        """Join, over the sessions, what is accounted for of the source that each was taken from."""
        joined = Ranges.empty()
        for code, source in enumerate(self.series.sources):
            known = _accounted(covered[code], source)
            if known is None:
                return None
            mine = (by_slot == code) | (by_slot == NOBODY)
            joined = joined.union(
                Ranges.of_arrays(units.starts[mine], units.ends[mine]).intersect(known)
            )
        return joined

    # --- what comes out ------------------------------------------------------------------------

    def plain(self, rows: Iterator[_Rows]) -> Iterator[SelectedChunk]:
        """Hand bars on as they are."""
        for one in rows:
            yield SelectedChunk(self.series, one.bars, one.codes)

    def derive(self, rows: Iterator[_Rows]) -> Iterator[SelectedChunk]:
        """Put bars together to longer ones."""
        frame = Frame.over(self.expectation(), self.expectation(derived=True))
        resampler: Resampler | None = None
        for one in rows:
            if resampler is None or one.codes is not None:
                # Whole sessions come at once where several sources do: nothing is carried over.
                resampler = Resampler(frame, covered=one.covered)
            yield self._derived(resampler.push(one.bars, one.codes))
            if one.codes is not None:
                yield self._derived(resampler.finish())
        if resampler is not None:
            yield self._derived(resampler.finish())

    def _derived(self, found: Derived) -> SelectedChunk:
        codes = found.codes if len(self.series.sources) > 1 else None
        chunk = SelectedChunk(self.series, found.bars, codes, found.complete, found.left_out)
        return chunk.take(found.bars.final) if self.selection.final_only else chunk

    def expectation(self, *, derived: bool = False) -> Expectation:
        """Return the calendar's grid of the bars read, or of those that come out."""
        timeframe = self.series.sources[0].timeframe
        return expectation_for(
            venue=self.series.venue,
            timeframe=self.series.timeframe if derived else timeframe,
            hours=self.series.hours,
            anchor=self.series.anchor,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Preparation:
    """Make the stored bars of one source those of the selection, chunk by chunk."""

    source: Source
    only_final: bool
    factors: Factors | None
    regular: Expectation | None
    venue: str

    @classmethod
    def of(cls, reader: _Reader, source: Source) -> _Preparation:
        """Read what adjusting the source takes."""
        series = reader.series
        factors = None
        if source.adjustment is not series.adjustment:
            factors = series_factors(
                reader.connection,
                series_id=source.series_id,
                instrument_id=source.instrument_id,
                # One statement of the actions for all sources: two might disagree by a day.
                provider=series.sources[0].provider,
                timeframe=source.timeframe,
                sessions=sessions_for(series.venue),
                basis_from=source.adjustment,
                basis_to=series.adjustment,
                as_of=reader.selection.as_of,
            )
        narrowed = source.hours is not series.hours
        regular = reader.expectation() if narrowed else None
        # A longer bar with a forming part is left out as a whole, later.
        only_final = reader.selection.final_only and not series.is_derived
        return cls(source, only_final, factors, regular, series.venue)

    def __call__(self, bars: Bars) -> Bars:
        """Drop what is not asked for, and adjust the rest."""
        if self.regular is not None:
            bars = bars.take(self.regular.promised.on_grid(bars.ts))
        if self.only_final and not bars.final.all():
            bars = bars.take(bars.final)
        if self.factors is None:
            return bars
        labels = bar_labels(
            bars.ts, timeframe=self.source.timeframe, sessions=sessions_for(self.venue)
        )
        return self.factors.adjust(bars, labels_us=labels)


def _accounted(known: Covered | None, source: Source) -> Ranges | None:
    """Join what is loaded, proven empty, and outside the listing, where nothing is expected."""
    if known is None:
        return None
    unlisted = Ranges.of(
        [
            (_FIRST, _day_us(source.listed_from, otherwise=_FIRST)),
            (_day_us(source.delisted_on, otherwise=_LAST), _LAST),
        ]
    )
    return known.loaded.union(known.proven).union(unlisted)


def _day_us(day: date | None, *, otherwise: int) -> int:
    return otherwise if day is None else date_us(day)


def _clip(chunk: SelectedChunk, *, start: datetime | None, end: datetime | None) -> SelectedChunk:
    """Keep what is stamped in [start, end)."""
    stamps = chunk.bars.ts
    first = int(np.searchsorted(stamps, to_us(start))) if start else 0
    last = int(np.searchsorted(stamps, to_us(end))) if end else len(stamps)
    if (first, last) == (0, len(stamps)):
        return chunk
    return chunk.take(slice(first, max(first, last)))
