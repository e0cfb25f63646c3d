"""Name the forms and what they have in common; a form's own module is loaded on first use."""

from __future__ import annotations

import enum
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from ingestion.domain.errors import BadRequest
from ingestion.domain.selection import SelectedChunk, SelectedSeries, Selection

NAMES: Final = ("provider", "symbol", "event_type", "timeframe", "adjustment")
FLOATS: Final = ("open", "high", "low", "close", "volume", "vwap")
COLUMNS: Final = (*NAMES, "ts", "sequence", *FLOATS, "trades")
DERIVED: Final = ("derived", "complete")

YEAR: Final = "year"
PARTITIONS: Final = ("provider", "symbol", "timeframe", "adjustment", YEAR)


class ExportFormat(enum.StrEnum):
    """Name a form; `arrows` is Arrow's stream format, for pipes."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    ARROW = "arrow"
    ARROWS = "arrows"

    @classmethod
    def of_name(cls, name: str) -> ExportFormat | None:
        """Guess from the ending of a file's name; None where it says nothing."""
        return _ENDINGS.get(Path(name).suffix.lower())


_ENDINGS: Final = {
    ".csv": ExportFormat.CSV,
    ".json": ExportFormat.JSON,
    ".jsonl": ExportFormat.JSON,
    ".ndjson": ExportFormat.JSON,
    ".parquet": ExportFormat.PARQUET,
    ".pq": ExportFormat.PARQUET,
    ".arrow": ExportFormat.ARROW,
    ".feather": ExportFormat.ARROW,
    ".ipc": ExportFormat.ARROW,
    ".arrows": ExportFormat.ARROWS,
}


@dataclass(frozen=True, slots=True)
class Origin:
    """State what an export holds: what was asked for, when it was read, and by which version."""

    selection: Selection
    series: tuple[SelectedSeries, ...]
    read_at: datetime
    version: str

    @property
    def is_derived(self) -> bool:
        """Tell whether bars are put together from shorter ones."""
        return self.selection.resample is not None

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of forms without types."""
        return (*COLUMNS, *DERIVED) if self.is_derived else COLUMNS

    def describe(self) -> dict[str, str]:
        """Return the metadata of a file; `mdc.as_of` is when all of it was known."""
        asked = self.selection
        return {
            "mdc.version": self.version,
            "mdc.as_of": (asked.as_of or self.read_at).isoformat(),
            "mdc.read_at": self.read_at.isoformat(),
            "mdc.source": asked.provider or "all providers",
            "mdc.adjust": asked.adjust.value if asked.adjust else "as stored",
            "mdc.resample": asked.resample.value if asked.resample else "as stored",
            "mdc.hours": asked.hours.value,
        }


class Writer(Protocol):
    """Take chunks, then finish: by `close`, or by `abandon` where something failed."""

    def write(self, chunk: SelectedChunk) -> None:
        """Take the bars of one chunk."""

    def close(self) -> None:
        """Write what is left, and the end; a file given as an object stays open."""

    def abandon(self) -> None:
        """Write nothing more: what is there must not look complete."""


_OPEN: Final = {
    ExportFormat.CSV: "ingestion.formats.csv:open_csv",
    ExportFormat.JSON: "ingestion.formats.json:open_json",
    ExportFormat.PARQUET: "ingestion.formats.parquet:open_parquet",
    ExportFormat.ARROW: "ingestion.formats.arrow:open_arrow_file",
    ExportFormat.ARROWS: "ingestion.formats.arrow:open_arrow_stream",
}


def open_writer(form: ExportFormat, file: BinaryIO, origin: Origin) -> Writer:
    """Begin one file of a form."""
    module, _, name = _OPEN[form].partition(":")
    begin: Callable[[BinaryIO, Origin], Writer] = getattr(importlib.import_module(module), name)
    return begin(file, origin)


def open_hive(folder: Path, origin: Origin, *, partition_by: Sequence[str]) -> Writer:
    """Begin a hive of Parquet files in an empty folder; raises BadRequest for odd partitions."""
    check_partitions(partition_by)
    writer: Writer = importlib.import_module("ingestion.formats.hive").HiveWriter(
        folder, origin, partition_by=partition_by
    )
    return writer


def check_partitions(names: Sequence[str]) -> None:
    """Refuse what cannot be a folder; raises BadRequest."""
    unknown = [name for name in names if name not in PARTITIONS]
    if unknown or len(set(names)) < len(names):
        raise BadRequest(
            f"cannot partition by {', '.join(names)}; choose from {', '.join(PARTITIONS)}, "
            "each once",
            field="partition_by",
        )
