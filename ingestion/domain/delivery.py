"""What is delivered to targets: batches of bars in columns, their names, and when to try again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.retry import Jitter, RetryClass
from providers.bars import Bars

# Delivery never gives up: `tries` plays no part, only the delays do.
DELIVERY = RetryClass(
    name="delivery",
    base=timedelta(seconds=1),
    cap=timedelta(minutes=10),
    tries=1,
    jitter=Jitter.FULL,
)
LONGEST_WAIT = timedelta(days=1)

Int64s = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Name a series by everything that tells it from others: all but stamp and sequence of the
    dedupe key."""

    provider: str
    symbol: str
    event_type: str
    timeframe: str
    adjustment: str
    hours: str
    anchor: str


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Hold the bars of one series in one batch, ascending by (ts, sequence), no key twice.

    `known_from_us` is since when each version has been known, µs since the epoch, UTC: of two
    bars with one key the later one is the truth. `attempt_id` says which attempt brought it.
    """

    series: SeriesKey
    bars: Bars
    known_from_us: Int64s
    attempt_id: Int64s

    def __len__(self) -> int:
        return len(self.bars)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Hold one delivery; `key` is the same whenever the same notes are delivered again."""

    target: str
    key: str
    parts: tuple[Part, ...]

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)


def batch_key(*, made_us: int, entries: Sequence[int], until_us: int | None) -> str:
    """Name a batch after its target's birth, its first and last note, and where it was cut.

    The birth keeps apart what two databases, or a target declared anew, write to one place.
    """
    cut = "" if until_us is None else f"-{until_us}"
    return f"{made_us:x}-{entries[0]:012d}-{entries[-1]:012d}{cut}"


@dataclass(frozen=True, slots=True)
class Cut:
    """Say how far a batch goes: so many rows of so many notes.

    Where the last of these notes is not exhausted, `until_us` is the first stamp left for later.
    """

    rows: int
    notes: int
    until_us: int | None = None


def cut_at(*, position: Int64s, ts: Int64s, notes: int, at_most: int) -> Cut:
    """Decide how far one batch goes through bars that stand by (position of the note, ts).

    The bars of one stamp stay together, so that a batch may be larger than asked where there are
    very many of them.
    """
    total = len(ts)
    if total <= at_most:
        return Cut(total, notes)
    here = position == position[at_most]
    first_left = int(np.flatnonzero(here & (ts == ts[at_most]))[0])
    if first_left == 0:
        later = np.flatnonzero(~here | (ts > ts[at_most]))
        if not len(later):
            return Cut(total, notes)
        first_left = int(later[0])
    last = int(position[first_left - 1])
    if position[first_left] != last:
        return Cut(first_left, last + 1)
    return Cut(first_left, last + 1, int(ts[first_left]))


def newest_versions(*, ts: Int64s, sequence: NDArray[np.int32]) -> NDArray[np.intp]:
    """Return the rows to keep of one series, ascending by key: one of those that are equal."""
    order = np.lexsort((sequence, ts))
    stamps, places = ts[order], sequence[order]
    repeats = np.zeros(len(order), np.bool_)
    repeats[1:] = (stamps[1:] == stamps[:-1]) & (places[1:] == places[:-1])
    kept: NDArray[np.intp] = order[~repeats]
    return kept


def delay_after(*, failures: int, retry_after: float | None, random01: float) -> float:
    """Return the seconds until the next try after so many failures in a row, this one included.

    At least half of the backoff is waited; what the receiver asks for is obeyed up to a day.
    """
    ceiling = DELIVERY.ceiling(failures - 1).total_seconds()
    backoff = ceiling * (0.5 + 0.5 * random01)
    if retry_after is None:
        return backoff
    return max(backoff, min(retry_after, LONGEST_WAIT.total_seconds()))
