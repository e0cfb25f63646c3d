"""Decide what has come due of schedules that the caller has locked, and write it all down."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from ingestion.calendars import sessions_for
from ingestion.domain.actor import Actor
from ingestion.domain.due import Due
from ingestion.domain.errors import BadRequest, CalendarEnds, MdcError
from ingestion.domain.firing import (
    NO_JOBS,
    NOTHING_CAME,
    Came,
    Decision,
    Fire,
    OpenJobs,
    Policy,
    Timing,
    come_due,
    decide,
    next_fire,
)
from ingestion.domain.rules import OnSignal, needs_venue
from ingestion.domain.schedules import Catchup, Disposition, Overlap, ScheduleAction
from ingestion.domain.windows import MICROSECOND
from ingestion.services.choose_account import Accounts, Chosen
from ingestion.store import audit, fired_jobs, inspections, schedules, signals
from ingestion.store.crashpoints import crash_point
from ingestion.store.definitions import definition_series
from ingestion.store.fired_jobs import NewJob
from ingestion.store.schedules import Advance, NewSlot, ScheduleRow
from ingestion.store.sequences import draw_ids
from ingestion.store.signals import Gathered
from providers.errors import UnknownProvider
from providers.sessions import Sessions

BEAT: Final = Actor(name="mdc", source="beat")
# Of one schedule, in one round; after a long time without any beat the next round goes on.
DUES_PER_ROUND: Final = 1_000
# A signal that met an open job is looked at again after its cool-down, but not without pause.
_SHORTEST_RETRY: Final = timedelta(seconds=10)
# What rules, zones, calendars and exclusions may refuse, where somebody wrote past every check:
# one such schedule must not stop the others. Unknown zones and venues are LookupErrors.
TROUBLE: Final = (MdcError, LookupError, ValueError, TypeError, OverflowError)


@dataclass(frozen=True, slots=True)
class Counted:
    """Count what was decided: jobs and inspections that were fired, and slots in all."""

    fired: int = 0
    slots: int = 0
    more: bool = False


@dataclass(slots=True)
class _Judged:
    """Hold one schedule while its due times are decided.

    `trouble` is why its next due time is not known, `refused` why not even those that have come;
    `found` is what its signals say.
    """

    row: ScheduleRow
    timing: Timing | None = None
    came: Came = NOTHING_CAME
    ahead: Fire | None = None
    trouble: str = ""
    refused: str = ""
    decisions: list[Decision] = field(default_factory=list)
    found: Gathered | None = None

    @property
    def on_signal(self) -> bool:
        return self.timing is not None and isinstance(self.timing.rule, OnSignal)


def fire_locked(rows: Sequence[ScheduleRow], *, now: datetime, egress: str) -> Counted:
    """Give every due time of locked schedules until now its slot, and fired ones their job.

    A bounded number of statements, however many schedules there are. A schedule whose next due
    time cannot be known sleeps from then on, with an audit event that says why.
    """
    facts = _Facts.read(rows, egress=egress)
    judged = [_reckon(row, now=now) for row in rows]
    facts.look_up(judged)
    for one in judged:
        if one.on_signal:
            _judge_signal(one, facts, now=now)
        else:
            _judge(one, facts, now=now)
    counted = _record(judged, facts, now=now)
    schedules.advance([_advance(one, now=now) for one in judged], now=now)
    _tell_troubles(judged)
    return counted


@dataclass(slots=True)
class _Facts:
    """Hold what is known beside the schedules; `refused` says why a definition fetches nothing."""

    chosen: dict[int, Chosen]
    refused: dict[int, str]
    open_jobs: Mapping[int, OpenJobs] = field(default_factory=dict)
    gathered: Mapping[int, Gathered] = field(default_factory=dict)
    decided: Collection[tuple[int, datetime]] = ()

    @classmethod
    def read(cls, rows: Sequence[ScheduleRow], *, egress: str) -> _Facts:
        facts = cls({}, {})
        accounts = Accounts(egress=egress)
        for row in rows:
            known = row.definition_id in facts.chosen or row.definition_id in facts.refused
            if known or row.action is ScheduleAction.INSPECT:
                continue
            try:
                facts.chosen[row.definition_id] = accounts.choose(row.definition, row.providers)
            except (BadRequest, UnknownProvider) as error:
                facts.refused[row.definition_id] = str(error)
        return facts

    def refusal(self, row: ScheduleRow) -> str:
        """Return why a schedule's definition can ask nobody; an inspection need not."""
        fetches = row.action is not ScheduleAction.INSPECT
        return self.refused.get(row.definition_id, "") if fetches else ""

    def look_up(self, judged: Sequence[_Judged]) -> None:
        rows = [one.row for one in judged]
        self.open_jobs = schedules.open_jobs(
            [row.id for row in rows if row.overlap is not Overlap.ALLOW_ALL]
        )
        listening = [one.row.id for one in judged if one.on_signal]
        self.gathered = signals.gathered(listening) if listening else {}
        self.decided = schedules.decided_dues(
            [(one.row.id, fire.due.at) for one in judged for fire in one.came.fires]
        )


def _reckon(row: ScheduleRow, *, now: datetime) -> _Judged:
    """Find which due times have come, and which is next."""
    judged = _Judged(row)
    since = row.next_due_at or now
    promised = Came((Fire(Due(since, None), since),))
    try:
        judged.timing = row.timing
        if judged.on_signal:
            judged.came = promised
            return judged
        sessions = sessions_of(row, judged.timing)
        judged.came = come_due(
            judged.timing, sessions=sessions, since=since, now=now, limit=DUES_PER_ROUND
        )
    except TROUBLE as error:
        judged.came, judged.refused, judged.trouble = promised, str(error), str(error)
        return judged
    try:
        judged.ahead = judged.came.ahead or next_fire(judged.timing, sessions=sessions, after=now)
    except CalendarEnds as error:
        judged.trouble = str(error)
    return judged


def sessions_of(row: ScheduleRow, timing: Timing) -> Sessions | None:
    """Return the sessions by which a schedule goes; raises UnknownVenue, BadRequest."""
    if not needs_venue(timing.rule):
        return None
    if not row.venue:
        raise BadRequest(f"the schedule {row.name} needs a venue for its rule", field="venue")
    return sessions_for(row.venue)


def _judge(one: _Judged, facts: _Facts, *, now: datetime) -> None:
    row = one.row
    refused = one.refused or facts.refusal(row)
    fires = [fire for fire in one.came.fires if (row.id, fire.due.at) not in facts.decided]
    one.decisions = _decide(one, fires, facts, policy=row.policy(paused=refused), now=now)


def _decide(
    one: _Judged, fires: Sequence[Fire], facts: _Facts, *, policy: Policy, now: datetime
) -> list[Decision]:
    open_jobs = facts.open_jobs.get(one.row.id, NO_JOBS)
    try:
        return decide(fires, policy=policy, open_jobs=open_jobs, now=now, more=one.came.more)
    except TROUBLE as error:
        one.trouble, one.ahead = f"its exclusions cannot be read: {error}", None
        return decide(fires, policy=Policy(paused=one.trouble), open_jobs=NO_JOBS, now=now)


def _judge_signal(one: _Judged, facts: _Facts, *, now: datetime) -> None:
    """Act on what was gathered, unless an open job is in the way: then it goes on waiting."""
    row = one.row
    one.found = facts.gathered.get(row.id)
    if one.found is None:
        return
    (fire,) = one.came.fires
    if (row.id, fire.due.at) in facts.decided:
        fire = Fire(Due(now, None), now)
    # A signal does not grow stale, and a job that waits already knows nothing of this one.
    policy = replace(row.policy(paused=facts.refusal(row)), catchup=Catchup.EACH, max_lateness=None)
    (decision,) = _decide(one, [fire], facts, policy=policy, now=now)
    if decision.disposition is Disposition.COALESCED:
        decision = Decision(decision.due, Disposition.SKIPPED_OVERLAP, "one job waits already")
    if decision.disposition is Disposition.SKIPPED_OVERLAP:
        again = now + max(row.cooldown, _SHORTEST_RETRY)
        one.ahead = Fire(Due(again, None), again)
    elif not decision.reason:
        count = one.found.signals
        said = f"{count:,} signals" if count > 1 else "one signal"
        decision = replace(decision, reason=f"{said}, the first is {one.found.first_id}")
    one.decisions = [decision]


def _advance(one: _Judged, *, now: datetime) -> Advance:
    ahead = one.ahead
    return Advance(
        schedule_id=one.row.id,
        next_due=ahead.due.at if ahead else None,
        next_fire=ahead.at if ahead else None,
        decided_until=min(now, ahead.due.at - MICROSECOND) if ahead else now,
        fired=any(decision.disposition is Disposition.FIRED for decision in one.decisions),
    )


def _record(judged: Sequence[_Judged], facts: _Facts, *, now: datetime) -> Counted:
    """Write slots, jobs and inspections, and note which signals were acted on."""
    numbers = iter(draw_ids("slot", sum(len(one.decisions) for one in judged)))
    slot_ids = {one.row.id: [next(numbers) for _ in one.decisions] for one in judged}
    schedules.insert_slots(
        [slot for one in judged for slot in _slots(one, slot_ids[one.row.id])], now=now
    )
    crash_point("fire.after_slots")
    jobs = _jobs(judged, facts, slot_ids)
    fired_jobs.insert_jobs(jobs, now=now, actor=BEAT)
    inspected = _inspect(judged)
    _mark_signals(judged, slot_ids)
    return Counted(
        fired=len(jobs) + inspected,
        slots=sum(len(one.decisions) for one in judged),
        more=any(one.came.more for one in judged),
    )


def _slots(one: _Judged, slot_ids: Sequence[int]) -> Iterable[NewSlot]:
    for number, decision in zip(slot_ids, one.decisions, strict=True):
        yield NewSlot(
            id=number,
            schedule_id=one.row.id,
            due=decision.due.at,
            session=decision.due.session,
            disposition=decision.disposition,
            reason=decision.reason,
            into=decision.into_slot if decision.into is None else slot_ids[decision.into],
        )


def _fired(one: _Judged) -> list[int]:
    return [
        place
        for place, decision in enumerate(one.decisions)
        if decision.disposition is Disposition.FIRED
    ]


def _jobs(
    judged: Sequence[_Judged], facts: _Facts, slot_ids: Mapping[int, Sequence[int]]
) -> list[NewJob]:
    fetching = [one for one in judged if one.row.action is not ScheduleAction.INSPECT]
    firing = [(one, places) for one in fetching if (places := _fired(one))]
    numbers = iter(draw_ids("job", sum(len(places) for _, places in firing)))
    jobs: list[NewJob] = []
    for one, places in firing:
        row, found = one.row, one.found
        job_ids = {place: next(numbers) for place in places}
        for place, job_id in job_ids.items():
            decision, chosen = one.decisions[place], facts.chosen[row.definition_id]
            jobs.append(
                NewJob(
                    id=job_id,
                    definition_id=row.definition_id,
                    provider=chosen.provider,
                    account_id=chosen.account_id,
                    action=row.action,
                    due=decision.due.at,
                    reason=f"{row.name}, due {decision.due.at:%Y-%m-%d %H:%M:%S}Z",
                    symbols=found.symbols if found else (),
                    session=decision.due.session,
                    window=found.window if found else None,
                    slot_id=slot_ids[row.id][place],
                    after=decision.after_job if decision.after is None else job_ids[decision.after],
                )
            )
    return jobs


def _inspect(judged: Sequence[_Judged]) -> int:
    """Let the series of definitions be inspected whose schedules say so; return how many fired."""
    meant = [one for one in judged if one.row.action is ScheduleAction.INSPECT and _fired(one)]
    if meant:
        held = definition_series({one.row.definition_id for one in meant}, every_provider=True)
        inspections.queue_all({series.id for found in held.values() for series in found})
    return sum(len(_fired(one)) for one in meant)


def _mark_signals(judged: Sequence[_Judged], slot_ids: Mapping[int, Sequence[int]]) -> None:
    acted_on = [
        one
        for one in judged
        if one.found and one.decisions[0].disposition is not Disposition.SKIPPED_OVERLAP
    ]
    signals.mark_fired(
        {one.row.id: slot_ids[one.row.id][0] for one in acted_on},
        found={one.row.id: one.found for one in acted_on if one.found},
    )


def _tell_troubles(judged: Sequence[_Judged]) -> None:
    troubled = [one for one in judged if one.trouble]
    if troubled:
        audit.record_each(
            actor=BEAT,
            action="schedule.stop",
            object_type="schedule",
            object_ids=[one.row.id for one in troubled],
            reasons=[one.trouble for one in troubled],
        )
