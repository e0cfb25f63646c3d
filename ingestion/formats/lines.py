"""Write bars as lines of text, put together by column: no line is ever a Python object.

Arrow writes the shortest text that reads back as the very same double.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.domain.selection import SelectedChunk
from ingestion.formats.columns import complete_of
from ingestion.formats.forms import DERIVED, FLOATS, NAMES
from providers.bars import Bars

_SECOND_US: Final = 1_000_000
_VALUES: Final = ("sequence", *FLOATS, "trades")

Piece = Any  # an Arrow array of text, or one text for every line


@dataclass(frozen=True, slots=True)
class Layout:
    """Say what stands around the values: `begin` takes the five names, `label` a column's name.

    `quote` stands on both sides of a time, `absent` in the place of what there is not.
    """

    header: Callable[[Sequence[str]], str]
    begin: Callable[[Sequence[str]], str]
    label: Callable[[str], str]
    end: str
    quote: str
    absent: str


class LineWriter:
    """Write chunks as lines of one layout."""

    def __init__(self, file: BinaryIO, *, layout: Layout, columns: Sequence[str]) -> None:
        self._file = file
        self._layout = layout
        self._columns = columns
        file.write(layout.header(columns).encode())

    def write(self, chunk: SelectedChunk) -> None:
        """Write one line a bar."""
        if len(chunk):
            self._file.write(self._lines(chunk))

    def close(self) -> None:
        """Write nothing more: lines end themselves."""

    def abandon(self) -> None:
        """Write nothing more."""

    def _lines(self, chunk: SelectedChunk) -> bytes:
        layout = self._layout
        pieces: list[Piece] = [self._beginning(chunk), layout.label("ts") + layout.quote]
        pieces += [_times(chunk.bars), "Z" + layout.quote]
        for name in _VALUES:
            pieces += [layout.label(name), _text(chunk.bars, name)]
        if DERIVED[0] in self._columns:
            pieces.append(layout.label(DERIVED[0]) + str(chunk.is_derived).lower())
            pieces += [layout.label(DERIVED[1]), pc.cast(pa.array(complete_of(chunk)), pa.string())]
        lines = pc.binary_join_element_wise(
            *_joined(pieces, layout.end),
            "",
            null_handling="replace",
            null_replacement=layout.absent,
        )
        return _content(lines)

    def _beginning(self, chunk: SelectedChunk) -> Piece:
        series = chunk.series
        shared = [str(getattr(series, name)) for name in NAMES[1:]]
        texts = [self._layout.begin([source.provider, *shared]) for source in series.sources]
        return texts[0] if chunk.codes is None else pa.array(texts).take(pa.array(chunk.codes))


def _joined(pieces: Sequence[Piece], end: str) -> list[Piece]:
    """Melt neighbouring constants into one."""
    melted: list[Piece] = []
    for piece in (*pieces, end):
        if isinstance(piece, str) and melted and isinstance(melted[-1], str):
            melted[-1] += piece
        else:
            melted.append(piece)
    return melted


def _text(bars: Bars, name: str) -> pa.Array:
    values = getattr(bars, name)
    absent = values == -1 if name == "trades" else np.isnan(values)
    return pc.cast(pa.array(values, mask=absent if absent.any() else None), pa.string())


def _times(bars: Bars) -> pa.Array:
    """Write 2024-01-31T14:30:00, with a fraction only where there is one."""
    moments = pa.array(bars.ts.view("M8[us]"))
    whole = bars.ts % _SECOND_US == 0
    texts = pc.cast(pc.cast(moments, pa.timestamp("s"), safe=False), pa.string())
    if not whole.all():
        texts = pc.if_else(pa.array(whole), texts, pc.cast(moments, pa.string()))
    return pc.replace_substring(texts, " ", "T")


def _content(lines: pa.Array) -> bytes:
    """Return the lines' text; they have no offset and follow each other."""
    offsets = np.frombuffer(lines.buffers()[1], np.int32, len(lines) + 1)
    return memoryview(lines.buffers()[2])[offsets[0] : offsets[-1]].tobytes()
