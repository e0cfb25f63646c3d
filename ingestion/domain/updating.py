"""Where an update begins and ends: what is stored, and what is settled, say so."""

from __future__ import annotations

from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation
from ingestion.domain.windows import MICROSECOND


def settled_until(expectation: Expectation, *, settled_us: int) -> int:
    """Return the exclusive stamp, in µs, before which every intraday bar is over by `settled_us`.

    Bars counted from the open need not begin at full steps of the clock: the one that is forming
    may have begun a step earlier.
    """
    step = expectation.timeframe.duration // MICROSECOND
    until = settled_us // step * step
    begun = expectation.accepted.stamps(until - step, until)
    forming = begun[expectation.bar_ends(begun) > settled_us]
    return int(forming[0]) if len(forming) else until


def holding_bars(ranges: Ranges, expectation: Expectation) -> Ranges:
    """Keep the intervals in which the calendar promises a bar."""
    rank = expectation.promised.rank
    held = rank(ranges.ends) > rank(ranges.starts)
    return ranges if held.all() else Ranges.of_arrays(ranges.starts[held], ranges.ends[held])


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
