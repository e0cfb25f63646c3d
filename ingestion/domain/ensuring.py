"""What someone waits for: how urgent it is, and which open jobs do it already."""

from __future__ import annotations

import enum
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar, assert_never

from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation
from ingestion.domain.spec import ENSURE_PRIORITY, REALTIME_PRIORITY
from ingestion.domain.updating import holding_bars
from providers.types import Adjustment, Hours, Timeframe

# A job is raised as a whole: with more than so many slices that nobody waits for it would put
# them before what others wait for, and a small job of its own is the better way.
MOST_SLICES_BEYOND: Final = 50

Key = TypeVar("Key", bound=Hashable)


class Urgency(enum.StrEnum):
    """Say how badly someone waits; all of it goes before repairs and after realtime work."""

    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"

    @property
    def priority(self) -> int:
        """Return the priority of the job that does it."""
        match self:
            case Urgency.NORMAL:
                return ENSURE_PRIORITY
            case Urgency.HIGH:
                return (ENSURE_PRIORITY + REALTIME_PRIORITY) // 2
            case Urgency.URGENT:
                return REALTIME_PRIORITY - 1
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True)
class EnsureRequest:
    """Say what shall be there: symbols at a timeframe over [start, end) in stamp space, UTC.

    Without `end` it is now. Without `provider` each symbol comes from the one that its stored
    series is best believed from; `adjustment` None is the basis of that series, or the provider's
    own.
    """

    symbols: tuple[str, ...]
    timeframe: Timeframe
    start: datetime
    end: datetime | None = None
    urgency: Urgency = Urgency.NORMAL
    provider: str | None = None
    adjustment: Adjustment | None = None
    hours: Hours = Hours.REGULAR
    venue: str | None = None


@dataclass(frozen=True, slots=True)
class OpenWork:
    """Hold what an open job is still going to fetch of some series.

    `slices` counts all that is open of the job, `near` those of them that `windows` are of. One
    that `gave_up` has just failed at the windows, and ended.
    """

    job_id: int
    priority: int
    slices: int
    near: int
    windows: Mapping[int, Ranges]
    gave_up: bool = False


@dataclass(frozen=True, slots=True)
class Shared:
    """Say which open jobs do what is lacking, and what of it none of them does, by series id.

    What a job has just failed at is not asked for again at once: `failed` names such jobs.
    """

    joined: tuple[int, ...]
    failed: tuple[int, ...]
    left: Mapping[int, Ranges]


def share_out(
    holes: Mapping[int, Ranges],
    works: Sequence[OpenWork],
    *,
    expectations: Mapping[int, Expectation],
) -> Shared:
    """Give what is lacking to open jobs, the most urgent first; jobs too large are passed over."""
    joined: list[int] = []
    failed: list[int] = []
    left = dict(holes)
    for work in sorted(works, key=lambda one: (one.gave_up, -one.priority, one.job_id)):
        if work.slices - work.near > MOST_SLICES_BEYOND:
            continue
        done = {key: left[key].intersect(windows) for key, windows in work.windows.items()}
        if with_bars(done, expectations=expectations):
            (failed if work.gave_up else joined).append(work.job_id)
            left |= {key: left[key].subtract(windows) for key, windows in work.windows.items()}
    return Shared(tuple(joined), tuple(failed), with_bars(left, expectations=expectations))


def with_bars(
    holes: Mapping[Key, Ranges], *, expectations: Mapping[Key, Expectation]
) -> dict[Key, Ranges]:
    """Keep the intervals in which the calendar promises a bar, and the series that have any."""
    kept = {key: holding_bars(ranges, expectations[key]) for key, ranges in holes.items()}
    return {key: ranges for key, ranges in kept.items() if len(ranges)}
