"""Keep columns that do not fit into memory in one temporary file, and read windows of them back."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from providers.files.decode import FileSeries, Part


class _NamelessFile:
    """Hold a temporary file that goes with the last one who holds this."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile(prefix="mdc-files-") as file:
            self.descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.descriptor)

    def read(self, offset: int, size: int) -> bytes:
        """Read so many bytes; raises EOFError where there are fewer."""
        data = b""
        while len(data) < size:
            more = os.pread(self.descriptor, size - len(data), offset + len(data))
            if not more:
                raise EOFError("a temporary file is shorter than it was written")
            data += more
        return data

    def write(self, offset: int, data: memoryview) -> None:
        """Write all of it."""
        while data:
            written = os.pwrite(self.descriptor, data, offset)
            data, offset = data[written:], offset + written


@dataclass(frozen=True, slots=True)
class _Column:
    """Say where a column lies in the file."""

    offset: int
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class SpilledPart:
    """Stand for a part whose columns are on disk."""

    file: _NamelessFile
    rows: int
    at: _Column
    ts: _Column
    row: _Column
    numbers: Mapping[str, _Column]

    def window(self, start: int, end: int) -> Part:
        """Read the rows that are found in [start, end), and nothing else."""
        first, last = self._find(start), self._find(end)
        return Part(
            at=self._read(self.at, first, last),
            ts=self._read(self.ts, first, last),
            row=self._read(self.row, first, last),
            numbers={
                role: self._read(column, first, last) for role, column in self.numbers.items()
            },
        )

    def _find(self, stamp: int) -> int:
        """Return how many rows lie before a stamp."""
        low, high = 0, self.rows
        while low < high:
            middle = (low + high) // 2
            if int(self._read(self.at, middle, middle + 1)[0]) < stamp:
                low = middle + 1
            else:
                high = middle
        return low

    def _read(self, column: _Column, first: int, last: int) -> NDArray[Any]:
        size = column.dtype.itemsize
        data = self.file.read(column.offset + first * size, max(0, last - first) * size)
        return np.frombuffer(data, column.dtype)


class Spill:
    """Write parts to the end of a temporary file without a name, for threads to read."""

    def __init__(self) -> None:
        self._file: _NamelessFile | None = None
        self._lock = threading.Lock()
        self.size = 0

    def write(self, parts: Mapping[FileSeries, Part]) -> dict[FileSeries, SpilledPart]:
        """Move a file's parts to disk. Raises OSError where there is no room."""
        with self._lock:
            if self._file is None:
                self._file = _NamelessFile()
            file = self._file
            return {key: self._move(part, file) for key, part in parts.items()}

    def forget(self) -> None:
        """Begin a new file; the old one goes when nobody reads it any more."""
        with self._lock:
            self._file, self.size = None, 0

    def _move(self, part: Part, file: _NamelessFile) -> SpilledPart:
        return SpilledPart(
            file=file,
            rows=len(part.at),
            at=self._append(part.at, file),
            ts=self._append(part.ts, file),
            row=self._append(part.row, file),
            numbers={role: self._append(values, file) for role, values in part.numbers.items()},
        )

    def _append(self, values: NDArray[Any], file: _NamelessFile) -> _Column:
        column = _Column(self.size, values.dtype)
        file.write(self.size, np.ascontiguousarray(values).data.cast("B"))
        self.size += values.nbytes
        return column
