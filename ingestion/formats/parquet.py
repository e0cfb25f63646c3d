"""Parquet, in groups of rows that readers can skip by time and symbol."""

from __future__ import annotations

from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.domain.selection import SelectedChunk
from ingestion.formats.columns import Tables
from ingestion.formats.forms import NAMES, Origin

# Rows of one group are read at once; many small series share one.
GROUP_ROWS: Final = 262_144


class ParquetWriter:
    """Write one Parquet file, in groups of about GROUP_ROWS rows."""

    def __init__(self, file: Any, tables: Tables) -> None:
        self._tables = tables
        # Only names repeat; prices would fill a dictionary in vain.
        self._writer = pq.ParquetWriter(
            file,
            tables.schema,
            compression="zstd",
            use_dictionary=[name for name in tables.schema.names if name in NAMES],
        )
        self._waiting: list[pa.RecordBatch] = []
        self.waiting_rows = 0

    def write(self, chunk: SelectedChunk) -> None:
        """Take the bars; a full group is written."""
        if not len(chunk):
            return
        self._waiting.append(self._tables.batch(chunk))
        self.waiting_rows += len(chunk)
        if self.waiting_rows >= GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what waits as one group."""
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, self._tables.schema)
            self._writer.write_table(table, row_group_size=2 * GROUP_ROWS)
            self._waiting.clear()
            self.waiting_rows = 0

    def close(self) -> None:
        """Write the rest and the end; a file given as an object stays open."""
        self.flush()
        self._writer.close()

    def abandon(self) -> None:
        """Write nothing more; pyarrow would close an open file when it is forgotten."""
        self._writer.is_open = False


def open_parquet(file: BinaryIO, origin: Origin) -> ParquetWriter:
    """Begin a file."""
    return ParquetWriter(file, Tables.of(origin))
