"""A lake of Parquet files in hive folders."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.domain.delivery import Batch, Part, SeriesKey
from ingestion.domain.errors import BadRequest, DeliveryFailed
from ingestion.targets.base import Deadline, Sink, Surroundings

_SCHEMA = pa.schema(
    [
        ("event_type", pa.dictionary(pa.int8(), pa.string())),
        ("adjustment", pa.dictionary(pa.int8(), pa.string())),
        ("hours", pa.dictionary(pa.int8(), pa.string())),
        ("anchor", pa.dictionary(pa.int8(), pa.string())),
        ("ts", pa.timestamp("us", tz="UTC")),
        ("sequence", pa.int32()),
        ("open", pa.float64()),
        ("high", pa.float64()),
        ("low", pa.float64()),
        ("close", pa.float64()),
        ("volume", pa.float64()),
        ("vwap", pa.float64()),
        ("trades", pa.int32()),
        ("final", pa.bool_()),
        ("known_from", pa.timestamp("us", tz="UTC")),
        ("attempt_id", pa.int64()),
    ]
)


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """Settings: the folder of the lake."""

    path: str


class ParquetLake(Sink):
    """Write provider=/timeframe=/symbol=/year=/<key>.parquet below one folder.

    A file's name says target, notes and series, so that a repeated delivery replaces it. It is
    written as a draft beside its place and moved there when it is on the disk.
    """

    KIND: ClassVar[str] = "parquet"
    GUARANTEE: ClassVar[str] = (
        "at least once and on the disk: a repeated batch replaces its own files, a revised bar "
        "comes in a later file, and the row with the latest known_from is the truth"
    )
    Config: ClassVar[type[msgspec.Struct]] = Config

    def __init__(self, around: Surroundings) -> None:
        self._name = around.name
        self._root = Path(msgspec.convert(around.config, Config).path)

    @classmethod
    def check_world(cls, config: Any, *, name: str) -> None:
        """Refuse a folder that is not absolute or not writable."""
        path = Path(config.path)
        if not path.is_absolute():
            raise BadRequest(
                f"the folder {config.path!r} of target {name} must be absolute, as the process "
                "that delivers sees it",
                field="path",
            )
        try:
            _try_writing(path)
        except OSError as error:
            raise BadRequest(
                f"nothing can be written in {path}: {error.strerror or error}; choose a folder "
                "that mdc may write to",
                field="path",
            ) from error

    def deliver(self, batch: Batch) -> None:
        """Write the files of a batch; one without parts tests only whether there could be any."""
        deadline = Deadline(target=self._name)
        try:
            if not batch.parts:
                _try_writing(self._root)
            for part in batch.parts:
                for year, rows in _years(part):
                    deadline.check()
                    place = self._place(batch, part.series, year=year)
                    _write(place, _table(part, rows))
        except OSError as error:
            raise DeliveryFailed(
                f"cannot write below {self._root}: {error.strerror or type(error).__name__}; "
                "make room or correct the permissions"
            ) from error

    def _place(self, batch: Batch, series: SeriesKey, *, year: int) -> Path:
        folder = self._root.joinpath(
            f"provider={_segment(series.provider)}",
            f"timeframe={_segment(series.timeframe)}",
            f"symbol={_segment(series.symbol)}",
            f"year={year}",
        )
        # What tells apart the series that share a folder.
        variant = "-".join((series.event_type, series.adjustment, series.hours, series.anchor))
        return folder / f"{batch.target}-{batch.key}-{variant}.parquet"


def _try_writing(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{uuid.uuid4().hex}.draft"
    draft.touch()
    draft.unlink()


def _segment(text: str) -> str:
    """Write a value as hive does; readers decode it."""
    return quote(text, safe="")


def _years(part: Part) -> Iterator[tuple[int, slice]]:
    """Split rows that stand by time into calendar years, UTC."""
    years = part.bars.ts.astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970
    starts = np.flatnonzero(np.diff(years, prepend=years[:1] - 1))
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(years)], strict=True):
        yield int(years[start]), slice(start, end)


def _table(part: Part, rows: slice) -> pa.Table:
    bars = part.bars.take(rows)
    count = len(bars)

    def same(text: str) -> pa.Array:
        zeros = pa.array(np.zeros(count, np.int8))
        return pa.DictionaryArray.from_arrays(zeros, pa.array([text]))

    series = part.series
    return pa.table(
        [
            same(series.event_type),
            same(series.adjustment),
            same(series.hours),
            same(series.anchor),
            pa.array(bars.ts).cast(pa.timestamp("us", tz="UTC")),
            bars.sequence,
            *(
                pa.array(getattr(bars, name), from_pandas=True)
                for name in ("open", "high", "low", "close", "volume", "vwap")
            ),
            pa.array(bars.trades, mask=bars.trades == -1),
            bars.final,
            pa.array(part.known_from_us[rows]).cast(pa.timestamp("us", tz="UTC")),
            part.attempt_id[rows],
        ],
        schema=_SCHEMA,
    )


def _write(place: Path, table: pa.Table) -> None:
    """Put a file in its place, whole and on the disk, or leave everything as it was."""
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.parent / f".{place.name}.{uuid.uuid4().hex}.draft"
    try:
        with draft.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(place)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(place.parent)
    # What a killed process left of the same file.
    for left in place.parent.glob(f".{_literal(place.name)}.*.draft"):
        left.unlink(missing_ok=True)


def _literal(name: str) -> str:
    """Let no character of a name mean a pattern."""
    return "".join(f"[{one}]" if one in "*?[" else one for one in name)


def _sync_folder(folder: Path) -> None:
    # Not every system lets a folder be opened; the file itself is on the disk.
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
