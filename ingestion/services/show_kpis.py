"""Show how well things went over a span of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ingestion.store import freshness, kpis
from ingestion.store.definitions import read_definitions
from ingestion.store.kpis import Ended, Lateness, Recovery, Verified, Work

_BY_PERSON = "cancelled"
_WELL = "complete"


@dataclass(frozen=True, slots=True)
class FreshShare:
    """Say how many of a definition's judged sessions were complete when they were due."""

    definition: str
    judged: int
    on_time: int
    open: int


@dataclass(frozen=True, slots=True)
class Kpis:
    """Hold what a span brought.

    `slots` count by disposition, `signals` by name; `incidents` are the times at which a provider
    asked for a slower pace.
    """

    since: datetime
    until: datetime
    slots: Mapping[str, int]
    lateness: Lateness
    signals: Mapping[str, int]
    ended: Sequence[Ended]
    work: Work
    incidents: int
    recovery: Recovery
    freshness: Sequence[FreshShare]
    verified: Sequence[Verified]

    @property
    def reliability(self) -> float | None:
        """Return the share of jobs that ended complete, of those that nobody cancelled."""
        ended = sum(one.jobs for one in self.ended if one.how != _BY_PERSON)
        well = sum(one.jobs for one in self.ended if one.how == _WELL)
        return well / ended if ended else None


def show_kpis(*, since: datetime, now: datetime, seconds: float | None = None) -> Kpis:
    """Sum the ledgers from `since` until `now`.

    On PostgreSQL's clock that are the last `seconds`, where a rehearsal moved the shells' clock.
    """
    if seconds is None:
        seconds = (now - since).total_seconds()
    names = {key: one.name for key, one in read_definitions().items()}
    shares: dict[int, FreshShare] = {}
    for kept in freshness.kept_since(since):
        before = shares.get(
            kept.definition_id, FreshShare(names[kept.definition_id], judged=0, on_time=0, open=0)
        )
        shares[kept.definition_id] = FreshShare(
            before.definition,
            judged=before.judged + kept.judged,
            on_time=before.on_time + kept.on_time,
            open=before.open + kept.open,
        )
    return Kpis(
        since=since,
        until=now,
        slots=kpis.count_slots(since=since),
        lateness=kpis.read_lateness(since=since),
        signals=kpis.count_signals(since=since),
        ended=kpis.count_ended(seconds=seconds),
        work=kpis.sum_work(seconds=seconds),
        incidents=kpis.count_incidents(seconds=seconds),
        recovery=kpis.read_recovery(seconds=seconds),
        freshness=sorted(shares.values(), key=lambda one: one.definition),
        verified=kpis.count_verified(since=since),
    )
