"""Turn chunks into Arrow columns; the schema says where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ingestion.domain.selection import SelectedChunk
from ingestion.formats.forms import DERIVED, FLOATS, NAMES, Origin

_TEXT: Final = pa.dictionary(pa.int16(), pa.string())


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Make record batches of one schema for a whole export.

    The five names repeat in every row: they are dictionaries that the whole export shares, so
    that a row costs two bytes for each and files of the Arrow format may hold them.
    """

    schema: pa.Schema
    _words: dict[str, list[str]]
    _numbers: dict[str, dict[str, int]]

    @classmethod
    def of(cls, origin: Origin, *, without: Sequence[str] = ()) -> Tables:
        """Prepare the schema; columns named in `without` are left out."""
        words = {
            "provider": {source.provider for one in origin.series for source in one.sources},
            **{name: {str(getattr(one, name)) for one in origin.series} for name in NAMES[1:]},
        }
        listed = {name: sorted(found) for name, found in words.items()}
        numbers = {
            name: {word: number for number, word in enumerate(found)}
            for name, found in listed.items()
        }
        fields = [field for field in _fields(origin) if field.name not in without]
        return cls(pa.schema(fields, metadata=origin.describe()), listed, numbers)

    def batch(self, chunk: SelectedChunk) -> pa.RecordBatch:
        """Return the chunk's rows; absent values are null."""
        return pa.RecordBatch.from_arrays(
            [self._column(name, chunk) for name in self.schema.names], schema=self.schema
        )

    def _column(self, name: str, chunk: SelectedChunk) -> pa.Array:
        if name in self._words:
            return self._text(name, chunk)
        bars = chunk.bars
        match name:
            case "ts":
                return pa.array(bars.ts.view("M8[us]"), self.schema.field("ts").type)
            case "trades":
                return pa.array(bars.trades, mask=bars.trades == -1)
            case "derived":
                return pa.array(np.full(len(chunk), chunk.is_derived))
            case "complete":
                return pa.array(complete_of(chunk))
        # NaN is how an absent number travels.
        return pa.array(getattr(bars, name), from_pandas=name in FLOATS)

    def _text(self, name: str, chunk: SelectedChunk) -> pa.DictionaryArray:
        numbers = self._numbers[name]
        if name == "provider":
            mine = np.array([numbers[one.provider] for one in chunk.series.sources], np.int16)
            indices = np.full(len(chunk), mine[0]) if chunk.codes is None else mine[chunk.codes]
        else:
            indices = np.full(len(chunk), numbers[str(getattr(chunk.series, name))], np.int16)
        return pa.DictionaryArray.from_arrays(indices, pa.array(self._words[name], pa.string()))


def complete_of(chunk: SelectedChunk) -> NDArray[np.bool_]:
    """Return per bar whether it is complete; a stored bar is as soon as it is final."""
    return chunk.bars.final if chunk.complete is None else chunk.complete


def _fields(origin: Origin) -> list[Any]:
    kinds = {
        **dict.fromkeys(NAMES, _TEXT),
        "ts": pa.timestamp("us", "UTC"),
        "sequence": pa.int32(),
        **dict.fromkeys(FLOATS, pa.float64()),
        "trades": pa.int32(),
        "final": pa.bool_(),
        **(dict.fromkeys(DERIVED, pa.bool_()) if origin.is_derived else {}),
    }
    absent = {"volume", "vwap", "trades"}
    return [pa.field(name, kind, nullable=name in absent) for name, kind in kinds.items()]
