"""How work is cut: spans sized to few requests, boundaries that every job shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation
from ingestion.domain.states import Workload
from ingestion.domain.windows import EPOCH, MICROSECOND, Window, to_us
from providers.base import SeriesCapability
from providers.types import Timeframe

Stamps = NDArray[np.int64]

DEFAULT_SPANS: Final = {
    Workload.HISTORICAL: timedelta(days=30),
    Workload.REALTIME: timedelta(hours=2),
}
DEFAULT_MAX_REQUESTS: Final = 2
_DAY: Final = timedelta(days=1)


def slice_span(
    *,
    workload: Workload,
    timeframe: Timeframe,
    requested: timedelta | None,
    capability: SeriesCapability,
    max_requests: int = DEFAULT_MAX_REQUESTS,
    bars_per_day: float | None = None,
) -> timedelta:
    """Choose how long a slice is.

    `requested` or the workload's default; for 1d and longer without a request, as much as one
    request holds. Always cut down to what `max_requests` requests hold, in full days or in full
    bars. `bars_per_day` is how dense the series is (default: bars around the clock). Raises
    ValueError for a span that is not positive.
    """
    if requested is not None and requested <= timedelta(0):
        raise ValueError(f"a slice span of {requested} holds nothing; give a positive one")
    step = timeframe.duration
    per_request = _request_span(step=step, capability=capability, bars_per_day=bars_per_day)
    span = DEFAULT_SPANS[workload] if requested is None else requested
    if requested is None and not timeframe.is_intraday and workload is Workload.HISTORICAL:
        span = max(span, per_request)
    span = min(span, per_request * max_requests)
    if capability.max_span is not None:
        # A provider that bounds a request's span has no further pages: a slice is one request.
        span = min(span, capability.max_span)
    unit = _DAY if span >= _DAY and step <= _DAY else step
    return max(step, span // unit * unit)


def _request_span(
    *, step: timedelta, capability: SeriesCapability, bars_per_day: float | None
) -> timedelta:
    """Return the time that one request covers."""
    if bars_per_day is None:
        span = step * capability.max_rows
    else:
        span = _DAY * min(capability.max_rows / bars_per_day, timedelta.max // _DAY // 1000)
    return span if capability.max_span is None else min(span, capability.max_span)


@dataclass(frozen=True, slots=True, eq=False)
class SlicePlan:
    """Hold n planned slices [starts[i], ends[i]) in µs, ascending and disjoint.

    `bars` is how many bars the calendar promises in each: at least one.
    """

    starts: Stamps
    ends: Stamps
    bars: Stamps

    def __len__(self) -> int:
        return len(self.starts)

    @classmethod
    def join(cls, plans: Iterable[SlicePlan]) -> SlicePlan:
        """Put plans one behind the other; they must be disjoint and in order."""
        parts = list(plans)
        if len(parts) == 1:
            return parts[0]
        none = np.empty(0, np.int64)
        return cls(
            *(
                np.concatenate([none, *(getattr(part, name) for part in parts)])
                for name in cls.__slots__
            )
        )

    def take(self, chosen: NDArray[np.bool_]) -> SlicePlan:
        """Keep some of the slices."""
        return SlicePlan(*(getattr(self, name)[chosen] for name in SlicePlan.__slots__))

    def windows(self) -> Iterator[Window]:
        """Yield the slices as windows, in order."""
        for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True):
            yield Window.of_us(start, end)


def plan_slices(
    *,
    missing: Ranges,
    span: timedelta,
    expectation: Expectation,
    anchor_to: datetime = EPOCH,
) -> SlicePlan:
    """Cut what is missing into slices that each expect at least one bar.

    Boundaries are multiples of `span` since `anchor_to`, moved back to the start of a session
    that they would cut in two (unless sessions are longer than the span), so overlapping jobs make
    the same slices. Within each missing interval the slices are an exact partition: a piece that
    expects nothing (a weekend) joins its neighbour, an interval that expects nothing is dropped.
    Raises OutsideCalendar, because an unknown calendar is not the same as expecting nothing.
    """
    step = span // MICROSECOND
    if step <= 0:
        raise ValueError(f"a slice span of {span} holds nothing; give a positive one")
    if len(missing):
        expectation.require(Window.of_us(int(missing.starts[0]), int(missing.ends[-1])))
    starts, ends, owner = _cut(missing, step=step, origin=to_us(anchor_to), expectation=expectation)
    ranks = expectation.promised.rank
    bars = ranks(ends) - ranks(starts)
    return _merge_empty(starts, ends, bars, owner)


def _cut(
    missing: Ranges, *, step: int, origin: int, expectation: Expectation
) -> tuple[Stamps, Stamps, NDArray[np.intp]]:
    """Cut every interval at the shared boundaries; also return which interval each piece is of."""
    # A boundary can move back by less than one step, hence one candidate more at the end.
    first = (missing.starts - origin) // step + 1
    last = -((origin - missing.ends) // step) + 1
    counts = np.maximum(last - first, 0)
    owner = np.repeat(np.arange(len(missing)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    bounds = _outside_sessions(
        origin + (first[owner] + within) * step, step=step, expectation=expectation
    )
    inside = (bounds > missing.starts[owner]) & (bounds < missing.ends[owner])
    owner = np.concatenate((np.arange(len(missing)), owner[inside]))
    starts = np.concatenate((missing.starts, bounds[inside]))
    order = np.argsort(starts, kind="stable")
    starts, owner = starts[order], owner[order]
    ends = np.append(starts[1:], 0)
    is_last = np.append(owner[1:] != owner[:-1], [True]) if len(owner) else np.empty(0, np.bool_)
    ends = np.where(is_last, missing.ends[owner], ends[: len(owner)])
    return starts, ends, owner


def _outside_sessions(bounds: Stamps, *, step: int, expectation: Expectation) -> Stamps:
    """Move each boundary that cuts a session to that session's start."""
    units = expectation.units
    if not len(units):
        return bounds
    index = np.maximum(np.searchsorted(units.starts, bounds, side="right") - 1, 0)
    starts, ends = units.starts[index], units.ends[index]
    cuts = (starts < bounds) & (bounds < ends) & (ends - starts <= step)
    return np.where(cuts, starts, bounds)


def _merge_empty(starts: Stamps, ends: Stamps, bars: Stamps, owner: NDArray[np.intp]) -> SlicePlan:
    """Join each piece without bars to the one before it, or the first ones to the one after."""
    kept = np.flatnonzero(bars > 0)
    if not len(kept):
        none = np.empty(0, np.int64)
        return SlicePlan(starts=none, ends=none, bars=none)
    owners = owner[kept]
    opens = np.append(True, owners[1:] != owners[:-1])
    closes = np.append(opens[1:], True)
    # The piece of each interval that its first and its last slice must reach to.
    first_piece = np.searchsorted(owner, owners, side="left")
    last_piece = np.searchsorted(owner, owners, side="right") - 1
    merged_starts = np.where(opens, starts[first_piece], starts[kept])
    merged_ends = np.where(closes, ends[last_piece], np.append(merged_starts[1:], 0))
    return SlicePlan(starts=merged_starts, ends=merged_ends, bars=bars[kept])
