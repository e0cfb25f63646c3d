"""Choose which stored bars beside a slice are asked for along with it, to compare their basis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ingestion.domain.basis import LEAST_BARS, OVERLAP_BARS
from ingestion.domain.windows import Window
from ingestion.store.claim import Claimed
from ingestion.store.instrument_facts import name_at
from ingestion.store.rebasing import Neighbours, neighbours
from ingestion.store.series import SeriesFacts
from providers.base import Adapter
from providers.types import Adjustment, BarQuery, Timeframe

# Far enough for OVERLAP_BARS over a long weekend, or over the holidays of a year's end.
_SHORTEST_REACH: Final = timedelta(days=5)
# A provider's history may end anywhere in the day in which its declared reach ends.
_REACH_MARGIN: Final = timedelta(days=2)


def find_overlaps(
    claimed: Sequence[Claimed],
    facts: Mapping[int, SeriesFacts],
    *,
    adapter: Adapter,
    now: datetime,
) -> dict[int, Window]:
    """Return, by slice, the window to ask for instead: with a few loaded bars before it or after.

    Only slices of adjusted prices that have such neighbours are named, and only where the wider
    window takes no further request and stays within what the provider serves. One query.
    """
    adjusted = [one for one in claimed if facts[one.series_id].adjustment is not Adjustment.RAW]
    if not adjusted:
        return {}
    beside = neighbours(
        [
            (one.series_id, Window(one.start, one.end), _reach(facts[one.series_id].timeframe))
            for one in adjusted
        ],
        limit=OVERLAP_BARS,
    )
    found: dict[int, Window] = {}
    for place, bars in beside.items():
        one = adjusted[place]
        query = facts[one.series_id].query(one.start, one.end)
        for window in _wider(one, bars, timeframe=query.timeframe):
            if _is_as_cheap(query, window, facts[one.series_id], adapter=adapter, now=now):
                found[one.slice_id] = window
                break
    return found


def _wider(one: Claimed, beside: Neighbours, *, timeframe: Timeframe) -> list[Window]:
    """List the windows worth asking for, the better first: a re-base shows in all older bars."""
    windows = []
    if beside.first and beside.older >= LEAST_BARS:
        windows.append(Window(beside.first, one.end))
    if beside.last and beside.newer >= LEAST_BARS:
        windows.append(Window(one.start, beside.last + timeframe.duration))
    return windows


def _is_as_cheap(
    query: BarQuery, window: Window, facts: SeriesFacts, *, adapter: Adapter, now: datetime
) -> bool:
    if name_at(facts.aliases, window.start) != query.vendor_symbol:
        return False
    capability = adapter.capability_for(query)
    if capability.max_span is not None and window.duration > capability.max_span:
        return False
    lookback = capability.lookback
    if lookback is not None and window.start < now - lookback + _REACH_MARGIN:
        return False
    wider = replace(query, start=window.start, end=window.end)
    return adapter.count_requests(wider) <= adapter.count_requests(query)


def _reach(timeframe: Timeframe) -> timedelta:
    return max(_SHORTEST_REACH, timeframe.duration * (OVERLAP_BARS * 3 // 2))
