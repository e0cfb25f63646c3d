"""Write the bars of a selection into a file or a folder: one snapshot, flat memory."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import psycopg
from django.db import connection, transaction

from ingestion.domain.errors import BadRequest
from ingestion.domain.selection import SelectedChunk, SelectedSeries, Selection
from ingestion.domain.windows import MICROSECOND, to_us
from ingestion.formats.forms import ExportFormat, Origin, Writer, open_hive, open_writer
from ingestion.services.select_bars import check_settled, stream_series
from ingestion.services.select_series import select_series
from ingestion.store.bar_reads import clock, freeze
from ingestion.store.series_reads import stored_spans

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ExportStep:
    """Say how far an export is: `rows` written, and `share` of what is to be read, 0 to 1.

    The share is an estimate from the stored spans, not a count.
    """

    series: SelectedSeries
    rows: int
    share: float


@dataclass(frozen=True, slots=True)
class Exported:
    """Count what was written.

    `left_out` are stored bars outside of every session, which went into no derived bar.
    """

    series: int
    rows: int
    left_out: int


OnStep = Callable[[ExportStep], None]


def export_bars(
    file: BinaryIO,
    *,
    form: ExportFormat,
    selection: Selection,
    on_step: OnStep = lambda step: None,
) -> Exported:
    """Write the bars of a selection to an open file, series by series, ascending in time.

    Forming bars are written as they stand, unless the selection leaves them out. Raises what
    `select_bars` raises, most of it before anything is written.
    """
    return _export(lambda origin: open_writer(form, file, origin), selection, on_step)


def export_hive(
    folder: Path,
    *,
    partition_by: Sequence[str],
    selection: Selection,
    on_step: OnStep = lambda step: None,
) -> Exported:
    """Write the bars of a selection as Parquet files in an empty folder, as `export_bars` does."""
    return _export(
        lambda origin: open_hive(folder, origin, partition_by=partition_by), selection, on_step
    )


def _export(
    open_one: Callable[[Origin], Writer], selection: Selection, on_step: OnStep
) -> Exported:
    # Durable: only a transaction of its own can still choose its isolation.
    with transaction.atomic(durable=True):
        connection.ensure_connection()
        raw: psycopg.Connection[Any] = connection.connection
        freeze(raw)
        read_at = clock(raw)
        check_settled(raw, selection.as_of)
        series = select_series(raw, selection)
        _check_distinct(series)
        version = importlib.metadata.version("mdc")
        writer = open_one(Origin(selection, series, read_at, version))
        progress = _Progress(series, stored_spans(_ids(series)), selection)
        rows = left_out = 0
        try:
            with _read_ahead(_chunks(raw, series, selection)) as chunks:
                for chunk in chunks:
                    writer.write(chunk)
                    rows += len(chunk)
                    left_out += chunk.left_out
                    on_step(ExportStep(chunk.series, rows=rows, share=progress.after(chunk)))
            writer.close()
        except BaseException:
            writer.abandon()
            raise
    return Exported(series=len(series), rows=rows, left_out=left_out)


def _check_distinct(series: Sequence[SelectedSeries]) -> None:
    """Refuse to write bars side by side that no column would tell apart."""
    seen: set[tuple[str, ...]] = set()
    for one in series:
        key = (one.provider, one.symbol, one.timeframe.value, one.adjustment.value)
        if key in seen:
            raise BadRequest(
                f"{one.symbol} at {one.timeframe} is stored both counted from the open and by the "
                "clock; choose with --anchor",
                field="anchor",
            )
        seen.add(key)


def _ids(series: Sequence[SelectedSeries]) -> list[int]:
    return [source.series_id for one in series for source in one.sources]


def _chunks(
    raw: psycopg.Connection[Any], series: Sequence[SelectedSeries], selection: Selection
) -> Iterator[SelectedChunk]:
    for one in series:
        yield from stream_series(raw, one, selection=selection)


@contextmanager
def _read_ahead(items: Iterator[Item]) -> Iterator[Iterator[Item]]:
    """Read the next item while the one before is written: PostgreSQL and we use a core each.

    The connection is used by the reading thread alone until the context ends.
    """

    def take() -> list[Item]:
        for item in items:
            return [item]
        return []

    def ahead() -> Iterator[Item]:
        coming = pool.submit(take)
        while found := coming.result():
            coming = pool.submit(take)
            yield from found

    with ThreadPoolExecutor(1, thread_name_prefix="mdc-export") as pool:
        yield ahead()


class _Progress:
    """Estimate how far an export is from where in its series' stored spans it stands."""

    def __init__(
        self,
        series: Sequence[SelectedSeries],
        spans: dict[int, tuple[int, int]],
        selection: Selection,
    ) -> None:
        first = to_us(selection.start) if selection.start else None
        last = to_us(selection.end) if selection.end else None
        self._parts: dict[SelectedSeries, tuple[float, float, int, int]] = {}
        done = 0.0
        for one in series:
            known = [spans[source.series_id] for source in one.sources if source.series_id in spans]
            low = max(min((span[0] for span in known), default=0), first or 0)
            high = min(max((span[1] for span in known), default=0), last or 2**62)
            work = max(0, high - low) / (one.sources[0].timeframe.duration // MICROSECOND)
            self._parts[one] = (done, work, low, high)
            done += work
        self._total = done or 1.0

    def after(self, chunk: SelectedChunk) -> float:
        """Return the share that is done once this chunk is."""
        done, work, low, high = self._parts[chunk.series]
        if work and len(chunk):
            done += work * min(1.0, max(0, int(chunk.bars.ts[-1]) - low) / (high - low))
        return done / self._total
