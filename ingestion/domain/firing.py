"""What becomes of due times: pure functions of rules, policies, open jobs and a moment.

Three questions, in the order in which firing asks them: which due times have come (`come_due`),
what becomes of each (`decide`), and when is the next one (`next_fire`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from ingestion.domain.due import Due, dues_between, is_excluded, jittered, next_due
from ingestion.domain.rules import OnSignal, Rule
from ingestion.domain.schedules import Catchup, Disposition, Overlap
from ingestion.domain.windows import MICROSECOND
from providers.sessions import Sessions

# A slot that fires within this counts as on time: ticks and beats are not exact.
ON_TIME: Final = timedelta(seconds=60)

# Thousands of schedules share a rule, and are asked at the same moment.
_next_due = functools.lru_cache(maxsize=4096)(next_due)
_dues_between = functools.lru_cache(maxsize=1024)(dues_between)


@dataclass(frozen=True, slots=True)
class Timing:
    """Say when one schedule is due: from `starts_at` on, and before `ends_at`."""

    schedule_id: int
    rule: Rule
    tz: str
    jitter: timedelta | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fire:
    """Hold a due time and when it fires, which is later where the schedule jitters."""

    due: Due
    at: datetime


@dataclass(frozen=True, slots=True)
class Came:
    """Hold due times that have come, ascending, and the one after them, where it was met.

    `more` says that this one has come as well, beyond what was asked for.
    """

    fires: tuple[Fire, ...]
    ahead: Fire | None = None
    more: bool = False


NOTHING_CAME: Final = Came(())


@dataclass(frozen=True, slots=True)
class Policy:
    """Hold what one schedule does about overlap, lateness, excluded days and pauses.

    `paused` is the reason why nothing fires, empty where it does.
    """

    overlap: Overlap = Overlap.SKIP
    catchup: Catchup = Catchup.LATEST
    max_lateness: timedelta | None = None
    exclusions: Sequence[Any] = ()
    tz: str = "UTC"
    paused: str = ""


@dataclass(frozen=True, slots=True)
class OpenJobs:
    """Name a schedule's open jobs: the last one, and the slot of the first that waits for another.

    None where there is none.
    """

    last_job: int | None = None
    waiting_slot: int | None = None


NO_JOBS: Final = OpenJobs()


@dataclass(frozen=True, slots=True)
class Decision:
    """Hold the one disposition of one due time.

    A fired one may have to wait for another job: `after_job`, or the one fired by the decision at
    place `after` of the same list. A coalesced one goes `into_slot`, or into the decision at place
    `into`.
    """

    due: Due
    disposition: Disposition
    reason: str = ""
    after_job: int | None = None
    after: int | None = None
    into_slot: int | None = None
    into: int | None = None


def next_fire(timing: Timing, *, sessions: Sessions | None, after: datetime) -> Fire | None:
    """Return the first due time strictly after a moment; None where there is none any more.

    A rule on signals has none: whoever raises one wakes the schedule. Raises what next_due raises.
    """
    if isinstance(timing.rule, OnSignal):
        return None
    due = _next_due(
        timing.rule,
        tz=timing.tz,
        sessions=sessions,
        after=_not_before_start(timing, after),
        counted_from=timing.starts_at,
    )
    if due is None or (timing.ends_at is not None and due.at >= timing.ends_at):
        return None
    return _fire(timing, due)


def come_due(
    timing: Timing, *, sessions: Sessions | None, since: datetime, now: datetime, limit: int
) -> Came:
    """Return the due times from `since` on that have come by now, at most `limit`.

    Raises what dues_between raises.
    """
    dues = _dues_between(
        timing.rule,
        tz=timing.tz,
        sessions=sessions,
        after=_not_before_start(timing, since - MICROSECOND),
        until=now,
        limit=limit + 1,
        counted_from=timing.starts_at,
    )
    fires: list[Fire] = []
    for due in dues:
        if timing.ends_at is not None and due.at >= timing.ends_at:
            break
        fire = _fire(timing, due)
        if fire.at > now or len(fires) == limit:
            return Came(tuple(fires), ahead=fire, more=fire.at <= now)
        fires.append(fire)
    return Came(tuple(fires))


def decide(
    fires: Sequence[Fire], *, policy: Policy, open_jobs: OpenJobs, now: datetime, more: bool = False
) -> list[Decision]:
    """Give each due time that has come its one disposition, in the same order.

    First a pause counts, then an excluded day, then lateness, then what the catch-up says of
    several, and of those that would fire what the overlap says. `more` means that later ones than
    these have come as well.
    """
    decisions = [_before_overlap(fire, policy=policy, now=now) for fire in fires]
    live = [place for place, one in enumerate(decisions) if one.disposition is Disposition.FIRED]
    followers: list[int] = []
    if policy.catchup is Catchup.LATEST:
        followers, live = (live, []) if more else (live[:-1], live[-1:])
    overlap = _Overlap(policy.overlap, open_jobs)
    for place in live:
        decisions[place] = overlap.judge(place, decisions[place])
    for place in followers:
        decisions[place] = _follow(decisions[place], live, decisions)
    return decisions


def _before_overlap(fire: Fire, *, policy: Policy, now: datetime) -> Decision:
    """Judge one due time by itself; FIRED means that nothing has spoken against it yet."""
    if policy.paused:
        return Decision(fire.due, Disposition.PAUSED, policy.paused)
    if policy.exclusions and is_excluded(policy.exclusions, fire.due, tz=policy.tz):
        return Decision(fire.due, Disposition.EXCLUDED, "on an excluded day")
    lateness, most = now - fire.at, _most_lateness(policy)
    if most is not None and lateness > most:
        said = f"{_span(lateness)} late, at most {_span(most)} allowed"
        return Decision(fire.due, Disposition.SKIPPED_LATE, said)
    return Decision(fire.due, Disposition.FIRED, _late_words(lateness))


def _most_lateness(policy: Policy) -> timedelta | None:
    if policy.catchup is not Catchup.NONE:
        return policy.max_lateness
    return ON_TIME if policy.max_lateness is None else min(ON_TIME, policy.max_lateness)


@dataclass(slots=True)
class _Overlap:
    """Judge due times that would fire, each by what is open when its turn comes.

    `fired` is the place of the last one that fired here, `waiting` of one that waits.
    """

    policy: Overlap
    jobs: OpenJobs
    fired: int | None = None
    waiting: int | None = None

    def judge(self, place: int, one: Decision) -> Decision:
        """Let a due time fire, wait, go into another or be skipped."""
        if self.fired is None and self.jobs.last_job is None:
            self.fired = place
            return one
        match self.policy:
            case Overlap.ALLOW_ALL:
                self.fired = place
                return one
            case Overlap.SKIP:
                return replace(
                    one,
                    disposition=Disposition.SKIPPED_OVERLAP,
                    reason=f"{self._open_one()} is still open",
                )
            case Overlap.BUFFER_ALL:
                return self._chain(place, one)
            case Overlap.BUFFER_ONE:
                return self._join(one) if self._one_waits() else self._chain(place, one)
            case _:
                assert_never(self.policy)

    def _open_one(self) -> str:
        return "an earlier slot's job" if self.fired is not None else f"job {self.jobs.last_job}"

    def _one_waits(self) -> bool:
        return self.waiting is not None or self.jobs.waiting_slot is not None

    def _chain(self, place: int, one: Decision) -> Decision:
        after, after_job = self.fired, self.jobs.last_job if self.fired is None else None
        reason = f"waits until {self._open_one()} has ended"
        self.fired = self.waiting = place
        return replace(one, reason=reason, after=after, after_job=after_job)

    def _join(self, one: Decision) -> Decision:
        return replace(
            one,
            disposition=Disposition.COALESCED,
            reason="one that waits will do for both",
            into=self.waiting,
            into_slot=self.jobs.waiting_slot if self.waiting is None else None,
        )


def _follow(one: Decision, live: Sequence[int], decisions: Sequence[Decision]) -> Decision:
    """Let a due time go where the latest one goes; without it, into one that is decided later."""
    if not live:
        return replace(
            one, disposition=Disposition.COALESCED, reason="a later one has come as well"
        )
    (place,) = live
    latest = decisions[place]
    match latest.disposition:
        case Disposition.FIRED:
            reason = "the latest one has come as well"
            return replace(one, disposition=Disposition.COALESCED, reason=reason, into=place)
        case Disposition.COALESCED:
            return replace(
                one,
                disposition=Disposition.COALESCED,
                reason=latest.reason,
                into=latest.into,
                into_slot=latest.into_slot,
            )
        case _:
            return replace(one, disposition=latest.disposition, reason=latest.reason)


def _not_before_start(timing: Timing, after: datetime) -> datetime:
    return after if timing.starts_at is None else max(after, timing.starts_at - MICROSECOND)


def _fire(timing: Timing, due: Due) -> Fire:
    return Fire(due, jittered(timing.schedule_id, due.at, timing.jitter))


def _late_words(lateness: timedelta) -> str:
    return f"{_span(lateness)} late" if lateness > ON_TIME else ""


def _span(length: timedelta) -> str:
    return str(timedelta(seconds=int(length.total_seconds())))
