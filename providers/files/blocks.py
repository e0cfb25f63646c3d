"""What both file formats are read into: blocks of columns, in the file's order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from providers.files.columns import PRICES
from providers.files.layout import FileFormat

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Hold n rows: the stamp as the file writes it, numbers as doubles, NaN where there is none.

    `symbol` and `timeframe` are None where no column states them. `row` counts the file's rows from
    0, the header apart.
    """

    stamp: pa.Array
    numbers: dict[str, Floats]
    symbol: pa.Array | None
    timeframe: pa.Array | None
    row: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)


def scaled(numbers: dict[str, Floats], form: FileFormat) -> dict[str, Floats]:
    """Bring prices to units of the currency; 0.0001 divides by 10,000, which is exact."""
    scale = form.price_scale
    if scale == 1.0:
        return numbers
    inverse = round(1 / scale)
    divides = inverse > 1 and abs(inverse * scale - 1) < 1e-12
    return {
        role: (values / inverse if divides else values * scale) if role in PRICES else values
        for role, values in numbers.items()
    }
