"""Return rows as their file writes them, for the quarantine; read only when one is refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from providers.files.csv_blocks import BROKEN_STREAM, open_text, read_head
from providers.files.errors import BadLayout
from providers.files.listing import Listed, version_of

CHANGED = "the file was changed since"


class RawRows:
    """Look rows of one file up by their number; the first look reads all that may be asked for."""

    def __init__(self, listed: Listed, rows: NDArray[np.int64]) -> None:
        self._listed = listed
        self._rows = rows
        self._found: dict[int, dict[str, Any]] | None = None

    def row(self, number: int) -> dict[str, Any]:
        """Return the file, the place, and the row as it stands there."""
        if self._found is None:
            self._found = self._read()
        found = self._found.get(number, {"row": number + 1, "note": CHANGED})
        return {"file": self._listed.relative, **found}

    def _read(self) -> dict[int, dict[str, Any]]:
        wanted = set(self._rows.tolist())
        try:
            if version_of(self._listed.path) != self._listed.version:
                return {}
            read = _parquet_rows if self._listed.is_parquet else _csv_rows
            return dict(read(self._listed, wanted))
        except (OSError, BadLayout, *BROKEN_STREAM):
            # It was readable a moment ago; the refused values themselves are not worth a failure.
            return {}


def _csv_rows(listed: Listed, wanted: set[int]) -> Iterable[tuple[int, dict[str, Any]]]:
    head = read_head(listed.path, listed.form)
    skipped = head.lines if head else 0
    last = max(wanted, default=-1)
    number = 0
    with open_text(listed.path, listed.form.encoding) as lines:
        for line, text in enumerate(lines, start=1):
            # As in reading: a line without any character is no row.
            if line <= skipped or text == "\n":
                continue
            if number in wanted:
                yield number, {"line": line, "text": text.rstrip("\n")}
            number += 1
            if number > last:
                return


def _parquet_rows(listed: Listed, wanted: set[int]) -> Iterable[tuple[int, dict[str, Any]]]:
    with pq.ParquetFile(listed.path) as file:
        start = 0
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            inside = sorted(number for number in wanted if start <= number < end)
            if inside:
                rows = file.read_row_group(group).take([number - start for number in inside])
                for number, values in zip(inside, rows.to_pylist(), strict=True):
                    plain = {
                        name: value if isinstance(value, str | int | bool | None) else str(value)
                        for name, value in values.items()
                    }
                    yield number, {"row": number + 1, "values": plain}
            start = end
