"""Remember every request, so that tests can prove what a client did."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from operator import attrgetter

import numpy as np


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold one request and what came of it.

    `arrival` is seconds since the Unix epoch on a clock that never jumps, taken when the request
    was read, before any delay. `start` and `end` are inclusive microseconds, 0 if never
    understood. `served` says that the whole answer was sent that the provider has for this request,
    be it rows, nothing or a refusal; `faults` names the rules that struck.
    """

    arrival: float
    provider: str
    symbol: str
    timeframe: str
    start: int
    end: int
    key: str
    status: int
    outcome: str
    served: bool
    violation: bool
    rows: int
    faults: tuple[str, ...]


class Journal:
    """Keep the last `size` requests."""

    def __init__(self, size: int) -> None:
        self.entries: deque[Entry] = deque(maxlen=size)

    def note(self, entry: Entry) -> None:
        """Add one request."""
        self.entries.append(entry)

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()

    def log(self, *, provider: str | None = None) -> list[dict[str, object]]:
        """Return the entries in order of arrival, each as a mapping."""
        ordered = sorted(self.entries, key=attrgetter("arrival"))
        return [asdict(entry) for entry in ordered if provider in (None, entry.provider)]

    def stats(self, *, window: float = 1.0, arrivals: bool = False) -> dict[str, object]:
        """Summarise per provider; `window` in seconds is the span for `max_in_window`."""
        providers = sorted({entry.provider for entry in self.entries})
        return {
            name: _summary(
                [entry for entry in self.entries if entry.provider == name],
                window=window,
                arrivals=arrivals,
            )
            for name in providers
        }


def max_in_window(arrivals: list[float], window: float) -> int:
    """Return the largest number of arrivals within any half-open window of that many seconds."""
    times = np.sort(np.array(arrivals))
    if not len(times):
        return 0
    firsts = np.searchsorted(times, times - window, side="right")
    return int((np.arange(1, len(times) + 1) - firsts).max())


def _summary(entries: list[Entry], *, window: float, arrivals: bool) -> dict[str, object]:
    times = [entry.arrival for entry in entries]
    asked = Counter(entry.key for entry in entries)
    served = Counter(entry.key for entry in entries if entry.served)
    summary: dict[str, object] = {
        "requests": len(entries),
        "served": served.total(),
        "rows": sum(entry.rows for entry in entries if entry.served),
        "by_status": _counts(str(entry.status) for entry in entries),
        "by_outcome": _counts(entry.outcome for entry in entries),
        "by_symbol": _counts(entry.symbol for entry in entries),
        "by_fault": _counts(name for entry in entries for name in entry.faults),
        "violations": sum(entry.violation for entry in entries),
        "window": window,
        "max_in_window": max_in_window(times, window),
        "first_arrival": times[0] if times else None,
        "last_arrival": times[-1] if times else None,
        "identical_requests": _repeated(asked),
        "identical_served": _repeated(served),
    }
    if arrivals:
        summary["arrivals"] = times
    return summary


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _repeated(keys: Counter[str]) -> dict[str, object]:
    repeated = {key: count for key, count in keys.items() if count > 1}
    return {"extra": sum(repeated.values()) - len(repeated), "keys": repeated}
