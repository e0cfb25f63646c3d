"""What a change of a venue's sessions means for series of one shape, unit by unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation
from providers.instants import floor_dates
from providers.sessions import Sessions, Stamps

_COLUMNS = ("opens", "closes", "break_starts", "break_ends", "earliest", "latest")


@dataclass(frozen=True, slots=True)
class UnitChanges:
    """Hold the windows of units (sessions, weeks, months) that are not what they were.

    In `grown` ones more is expected than before: another stamp, or a bar that ends later. Of `gone`
    ones nothing is expected any more. `touched` are these and those that shrank.
    """

    grown: Ranges
    gone: Ranges
    touched: Ranges


def changed_sessions(before: Sessions, after: Sessions) -> Stamps:
    """Return the labels of sessions that came, went or have other hours or pauses, ascending."""
    came_or_went = np.setxor1d(before.labels, after.labels, assume_unique=True)
    _, old, new = np.intersect1d(
        before.labels, after.labels, assume_unique=True, return_indices=True
    )
    differs = np.zeros(len(old), np.bool_)
    for name in _COLUMNS:
        differs |= getattr(before, name)[old] != getattr(after, name)[new]
    halted = np.setxor1d(_halts(before), _halts(after))
    return np.union1d(
        np.concatenate((came_or_went, before.labels[old[differs]])), _labels(halted, before, after)
    )


def unit_changes(before: Expectation, after: Expectation, labels: Stamps) -> UnitChanges:
    """Compare what was expected in these sessions with what is."""
    grown: list[tuple[int, int]] = []
    gone: list[tuple[int, int]] = []
    touched: list[tuple[int, int]] = []
    timeframe = after.timeframe
    units = labels if timeframe.is_intraday else np.unique(floor_dates(labels, timeframe))
    for unit in units.tolist():
        old, new = _unit(before, unit), _unit(after, unit)
        spans = [span for span in (old, new) if span is not None]
        if not spans:
            continue
        hull = min(start for start, _ in spans), max(end for _, end in spans)
        expected_more, expected_less = _compare(before, after, *hull)
        if expected_more:
            grown.append(hull)
        if new is None:
            gone.append(hull)
        if expected_more or expected_less or old != new:
            touched.append(hull)
    return UnitChanges(Ranges.of(grown), Ranges.of(gone), Ranges.of(touched))


def _unit(expectation: Expectation, label: int) -> tuple[int, int] | None:
    units = expectation.units
    place = int(np.searchsorted(units.labels, label))
    if place == len(units) or int(units.labels[place]) != label:
        return None
    return int(units.starts[place]), int(units.ends[place])


def _compare(before: Expectation, after: Expectation, start: int, end: int) -> tuple[bool, bool]:
    """Tell whether the window promises more than it did, and whether it promises less."""
    old, new = before.promised.stamps(start, end), after.promised.stamps(start, end)
    both = np.intersect1d(old, new, assume_unique=True)
    ended, ends = before.bar_ends(both), after.bar_ends(both)
    more = len(new) > len(both) or bool((ends > ended).any())
    less = len(old) > len(both) or bool((ends < ended).any())
    return more, less


def _halts(sessions: Sessions) -> Stamps:
    """Return one number per edge of a halt, which tells starts from ends."""
    return np.concatenate((sessions.halt_starts * 2, sessions.halt_ends * 2 + 1))


def _labels(edges: Stamps, *calendars: Sessions) -> Stamps:
    """Return the labels of the sessions around edges of halts."""
    found = [np.empty(0, np.int64)]
    instants = np.unique(edges // 2)
    for sessions in calendars:
        if not len(sessions):
            continue
        place = np.maximum(np.searchsorted(sessions.opens, instants, side="right") - 1, 0)
        inside = (sessions.opens[place] <= instants) & (instants <= sessions.closes[place])
        found.append(sessions.labels[place[inside]])
    return np.concatenate(found)
