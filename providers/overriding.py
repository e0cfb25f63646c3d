"""Lay what people declared over the sessions of a venue; numpy only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np

from providers.declared import DeclaredSession
from providers.sessions import NO_BREAK, Sessions, Stamps

Span = tuple[int, int]

_COLUMNS: Final = (
    "labels",
    "opens",
    "closes",
    "break_starts",
    "break_ends",
    "earliest",
    "latest",
)


@dataclass(frozen=True, slots=True)
class _Day:
    """Hold one session while it is changed; `row` is what Sessions keeps of it, by column."""

    row: Mapping[str, int]
    halts: tuple[Span, ...] = ()
    added: bool = False


def overridden(sessions: Sessions, declared: Iterable[DeclaredSession]) -> Sessions:
    """Return the sessions with what is declared of some of them, ascending; itself without any.

    Statements that no longer fit the calendar do what they can: hours of a day without a session
    need both to make one.
    """
    wanted = list(declared)
    if not wanted:
        return sessions
    touched = np.array([one.label for one in wanted], np.int64)
    days = [day for one in wanted if (day := _day(_row_of(sessions, one.label), one)) is not None]
    kept = ~np.isin(sessions.labels, touched)
    columns = {
        name: np.concatenate((getattr(sessions, name)[kept], _column(days, name)))
        for name in _COLUMNS
    }
    order = np.argsort(columns["labels"], kind="stable")
    changed: dict[str, Any] = {name: _frozen(columns[name][order]) for name in _COLUMNS}
    halts = sorted(span for day in days for span in day.halts)
    return replace(
        sessions,
        **changed,
        # What is closed or paused for once has a close like any other venue.
        always_open=False,
        halt_starts=_frozen(np.array([start for start, _ in halts], np.int64)),
        halt_ends=_frozen(np.array([end for _, end in halts], np.int64)),
        added=_frozen(_column([day for day in days if day.added], "labels")),
    )


def _column(days: Iterable[_Day], name: str) -> Stamps:
    return np.array([day.row[name] for day in days], np.int64)


def _row_of(sessions: Sessions, label: int) -> dict[str, int] | None:
    place = int(np.searchsorted(sessions.labels, label))
    if place == len(sessions) or int(sessions.labels[place]) != label:
        return None
    return {name: int(getattr(sessions, name)[place]) for name in _COLUMNS}


def _day(row: dict[str, int] | None, declared: DeclaredSession) -> _Day | None:
    """Return a session as declared, or None where there is none."""
    if declared.closed:
        return None
    added = row is None
    if row is None:
        if declared.opens is None or declared.closes is None:
            return None
        row = _new_row(declared.label, declared.opens, declared.closes)
    opens = row["opens"] if declared.opens is None else declared.opens
    closes = row["closes"] if declared.closes is None else declared.closes
    parts = _parts(opens, closes, without=[*_break_of(row), *declared.halts])
    return _of_parts(row, parts, added=added) if parts else None


def _new_row(label: int, opens: int, closes: int) -> dict[str, int]:
    return {
        "labels": label,
        "opens": opens,
        "closes": closes,
        "break_starts": NO_BREAK,
        "break_ends": NO_BREAK,
        "earliest": opens,
        "latest": closes,
    }


def _break_of(row: Mapping[str, int]) -> list[Span]:
    if row["break_starts"] == NO_BREAK:
        return []
    return [(row["break_starts"], row["break_ends"])]


def _parts(opens: int, closes: int, *, without: Iterable[Span]) -> list[Span]:
    """Return the spans in which something trades, ascending."""
    parts = []
    at = opens
    for start, end in sorted(without):
        if at < min(start, closes):
            parts.append((at, min(start, closes)))
        at = max(at, end)
    if at < closes:
        parts.append((at, closes))
    return parts


def _of_parts(row: Mapping[str, int], parts: list[Span], *, added: bool) -> _Day:
    """Return the session that trades in these parts; its pauses lie between them."""
    opens, closes = parts[0][0], parts[-1][1]
    pauses = [(one[1], other[0]) for one, other in pairwise(parts)]
    usual = _break_of(row)
    # The pause that holds the usual break takes its place, however long it became.
    lunch = [one for one in pauses if usual and one[0] <= usual[0][0] and usual[0][1] <= one[1]]
    break_start, break_end = lunch[0] if lunch else (NO_BREAK, NO_BREAK)
    return _Day(
        row={
            **row,
            "opens": opens,
            "closes": closes,
            "break_starts": break_start,
            "break_ends": break_end,
            "earliest": min(row["earliest"], opens),
            # What trades after the close follows it: until 17:00 where a day ends at 13:00.
            "latest": closes + row["latest"] - row["closes"],
        },
        halts=tuple(one for one in pauses if one not in lunch),
        added=added,
    )


def _frozen(column: Stamps) -> Stamps:
    column.flags.writeable = False
    return column
