"""Parquet files in a hive of folders such as symbol=AAPL/year=2024."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import numpy as np

from ingestion.domain.selection import SelectedChunk
from ingestion.formats.columns import Tables
from ingestion.formats.forms import NAMES, YEAR, Origin
from ingestion.formats.parquet import GROUP_ROWS, ParquetWriter

# What may wait in memory, over all open files, and how many those may be.
_WAITING_ROWS: Final = 4 * GROUP_ROWS
_OPEN_FILES: Final = 128


class HiveWriter:
    """Write a folder per value of each partition column, which the files then leave out.

    A partition that is written again after it was closed gets another file.
    """

    def __init__(self, folder: Path, origin: Origin, *, partition_by: Sequence[str]) -> None:
        self._folder = folder
        self._by = tuple(partition_by)
        self._tables = Tables.of(origin, without=self._by)
        self._open: dict[tuple[str, ...], tuple[Path, ParquetWriter]] = {}
        self._parts = 0

    def write(self, chunk: SelectedChunk) -> None:
        """Take the bars."""
        for key, part in self._split(chunk):
            self._writer(key).write(part)
        if sum(writer.waiting_rows for _, writer in self._open.values()) > _WAITING_ROWS:
            for _, writer in self._open.values():
                writer.flush()

    def close(self) -> None:
        """Finish all files."""
        for key in list(self._open):
            self._finish(key)

    def abandon(self) -> None:
        """Leave all open files without an end."""
        for _, writer in self._open.values():
            writer.abandon()

    def _split(self, chunk: SelectedChunk) -> Iterator[tuple[tuple[str, ...], SelectedChunk]]:
        """Cut a chunk so that each part lies in one partition, ascending in itself."""
        series = chunk.series
        codes = np.zeros(len(chunk), np.int16) if chunk.codes is None else chunk.codes
        years = chunk.bars.ts.view("M8[us]").astype("M8[Y]").astype(np.int64) + 1970
        labels = np.zeros(len(chunk), np.int64)
        if "provider" in self._by:
            labels += codes
        if YEAR in self._by:
            labels += years << 16
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            values = {
                **{name: str(getattr(series, name)) for name in NAMES},
                "provider": series.sources[int(codes[rows[0]])].provider,
                YEAR: str(years[rows[0]]),
            }
            yield tuple(values[name] for name in self._by), chunk.take(rows)

    def _writer(self, key: tuple[str, ...]) -> ParquetWriter:
        if key in self._open:
            # The one used last stands last.
            self._open[key] = self._open.pop(key)
            return self._open[key][1]
        if len(self._open) >= _OPEN_FILES:
            self._finish(next(iter(self._open)))
        names = (
            f"{name}={quote(value, safe='')}" for name, value in zip(self._by, key, strict=True)
        )
        folder = self._folder.joinpath(*names)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"part-{self._parts:05d}.parquet"
        self._parts += 1
        writer = ParquetWriter(path, self._tables)
        self._open[key] = (path, writer)
        return writer

    def _finish(self, key: tuple[str, ...]) -> None:
        path, writer = self._open.pop(key)
        writer.close()
        with path.open("rb") as written:
            os.fsync(written.fileno())
