"""The message that carries bars: one schema, with columns as arrays."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.delivery import Batch, Part

SCHEMA: Final = "mdc.bars/1"
_FLOATS: Final = ("open", "high", "low", "close", "volume", "vwap")


def message(batch: Batch, *parts: Part) -> dict[str, Any]:
    """Build a message of some parts of a batch; all of them where none are named.

    `ts_us` and `known_from_us` are µs since the Unix epoch, UTC; null stands for "not known". The
    dedupe key is everything that identifies the series, ts_us and sequence; of two bars with the
    same key the one with the later known_from_us is the truth.
    """
    return {
        "schema": SCHEMA,
        "target": batch.target,
        "batch": batch.key,
        "series": [
            {**asdict(part.series), "columns": _columns(part)} for part in parts or batch.parts
        ],
    }


def _columns(part: Part) -> dict[str, list[Any]]:
    bars = part.bars
    return {
        "ts_us": bars.ts.tolist(),
        "sequence": bars.sequence.tolist(),
        **{
            name: _with_nulls(getattr(bars, name), np.isnan(getattr(bars, name)))
            for name in _FLOATS
        },
        "trades": _with_nulls(bars.trades, bars.trades == -1),
        "final": bars.final.tolist(),
        "known_from_us": part.known_from_us.tolist(),
        "attempt_id": part.attempt_id.tolist(),
    }


def _with_nulls(values: NDArray[Any], absent: NDArray[np.bool_]) -> list[Any]:
    if not absent.any():
        found: list[Any] = values.tolist()
        return found
    objects = values.astype(object)
    objects[absent] = None
    return list(objects)
