"""Where an update begins: what is stored says how far back there is something to settle."""

from __future__ import annotations

from ingestion.domain.coverage import Ranges


def update_start(*, loaded: Ranges, doubted: Ranges, lookback_us: int) -> int:
    """Return from which stamp, in µs, an update looks for what is lacking.

    `lookback_us` is the oldest stamp that an update looks at by itself. Where nothing is stored it
    begins there. Else it begins where coverage ends, or as far back as the lookback allows within
    what is stored, so that sessions that were missing, failed or late are settled; and always as
    far back as a doubt.
    """
    known = loaded.union(doubted)
    if not len(known):
        return lookback_us
    first, last = int(known.starts[0]), int(known.ends[-1])
    start = min(last, max(first, lookback_us))
    return min(start, int(doubted.starts[0])) if len(doubted) else start
