"""What people declared of venues' sessions beyond the calendars, as this process knows it.

No I/O here: whoever starts a piece of work pushes what is stored (`use_declared`), and all that is
asked of sessions until the next push answers by it. Light, so that a command may name its loader
without loading numpy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DeclaredSession:
    """State what is so of one session, whatever the calendar says.

    `label` is the session date at 00:00Z, `opens`, `closes` and the halts' edges are instants, all
    in µs. None keeps the calendar's hour. A day without a session gets one where both hours are
    stated. A halt that reaches the open or the close shortens the session; any other is a pause.
    """

    label: int
    closed: bool = False
    opens: int | None = None
    closes: int | None = None
    halts: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    """Hold what is declared of all venues at one revision; one object per push."""

    revision: int = 0
    by_venue: Mapping[str, tuple[DeclaredSession, ...]] = field(default_factory=dict)

    def of(self, venue: str, stands_for: str) -> tuple[DeclaredSession, ...]:
        """Return the statements about a venue by label, its own before those it shares."""
        shared = {one.label: one for one in self.by_venue.get(stands_for, ())}
        own = {one.label: one for one in self.by_venue.get(venue, ())}
        both = shared | own
        return tuple(both[label] for label in sorted(both))


@dataclass(slots=True)
class _Process:
    declared: Declared = field(default_factory=Declared)
    load: Callable[[], object] | None = None
    loading: bool = False


_process = _Process()
_tried: ContextVar[Declared | None] = ContextVar("tried", default=None)
# Whoever loads may ask for what it is about to replace.
_LOADING = threading.RLock()


def current() -> Declared:
    """Return what holds now; calls the loader of `ask_first` before the first answer."""
    tried = _tried.get()
    if tried is not None:
        return tried
    if _process.load is not None:
        _load_once()
    return _process.declared


def use_declared(declared: Declared) -> None:
    """Let this hold from now on, for all threads."""
    _process.declared = declared


@contextmanager
def trying(declared: Declared) -> Iterator[None]:
    """Let this hold within the block, for this thread alone: a change that is not committed yet."""
    token = _tried.set(declared)
    try:
        yield
    finally:
        _tried.reset(token)


def ask_first(load: Callable[[], object] | None) -> None:
    """Let `load` push what is stored before the first session is asked for; None asks nobody."""
    _process.load = load


def _load_once() -> None:
    with _LOADING:
        load = _process.load
        if load is None or _process.loading:
            return
        _process.loading = True
        try:
            load()
            # Only now: what failed is tried again, and other threads wait until it is done.
            _process.load = None
        finally:
            _process.loading = False
