"""Draw some windows of a series, the same ones whenever and wherever they are drawn."""

from __future__ import annotations

import hashlib
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.spec import Sample

# Constants of the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
_MIXERS: Final = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))


def drawn(starts: NDArray[np.int64], sample: Sample, *, series_id: int) -> NDArray[np.bool_]:
    """Tell for each window, by its start in µs, whether the sample holds it.

    The share is rounded up, so that at least one of any is drawn. The draw depends on nothing but
    the seed, the series and the starts.
    """
    chosen = np.zeros(len(starts), np.bool_)
    count = math.ceil(sample.share * len(starts))
    if count:
        salt = hashlib.blake2b(f"{sample.seed}:{series_id}".encode(), digest_size=8).digest()
        lots = _mix(starts.astype(np.uint64) ^ np.uint64(int.from_bytes(salt, "big")))
        chosen[np.argpartition(lots, count - 1)[:count]] = True
    return chosen


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter neighbouring numbers over all 64 bits, no two of them to the same place."""
    for shift, factor in _MIXERS:
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values
