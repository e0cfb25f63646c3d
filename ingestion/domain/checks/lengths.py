"""How long a run of something may be before chance no longer explains it."""

from __future__ import annotations

import math
from typing import Final

# At most so many runs of that length are to be expected by chance in what is looked at.
_BY_CHANCE: Final = 0.01
# What thins a market out comes in clusters: a run grows three times as long as independent bars
# would let it. The recorded minutes of XBTUSD and BTCEUR stay below.
_CLUSTERED: Final = 3.0


def unusual_length(*, share: float, count: int) -> float:
    """Return from when on a run is no chance among `count` bars of which a `share` is alike.

    Solves count * share ** (length / 3) = 0.01 for the length. Nothing is unusual of a share of 1.
    """
    if share >= 1:
        return math.inf
    if share <= 0 or not count:
        return 1.0
    return max(1.0, _CLUSTERED * math.log(_BY_CHANCE / count) / math.log(share))


def share_without(*, alike: int, count: int, run: int) -> float:
    """Return the share of bars that are alike outside of a run, never quite 0 or 1."""
    return (alike - run + 0.5) / (count - run + 1.0)
