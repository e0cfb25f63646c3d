"""Judge, session after session, whether what was promised was complete when it was due."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import numpy as np
from django.db import transaction

from ingestion.calendars import sessions_for
from ingestion.domain.actor import SYSTEM
from ingestion.domain.errors import MdcError
from ingestion.domain.freshness import Closings, Mask, closings, lacks, recheck_at
from ingestion.domain.gaps import GapReport
from ingestion.domain.windows import MICROSECOND, Window, from_us, to_us
from ingestion.services.find_gaps import series_gaps
from ingestion.services.promised_symbols import Part, promised_symbols
from ingestion.store import audit, freshness, signals
from ingestion.store.definitions import read_definitions
from ingestion.store.freshness import Breach, Judgement
from ingestion.store.signals import NewSignal
from providers.errors import ProviderError
from providers.types import Hours, Timeframe
from providers.venues import UnknownVenue

SIGNAL: Final = "freshness_breached"
# After a longer downtime older sessions are not judged any more.
MOST_SESSIONS: Final = 50
DEFINITIONS_PER_ROUND: Final = 200
SYMBOLS_PER_ROUND: Final = 10_000
# How long a change of a calendar or definition goes unnoticed that nobody spoke of.
LONGEST_SLEEP: Final = timedelta(hours=1)
_SAMPLE: Final = 20
_NAMED: Final = 5
_UNJUDGEABLE: Final = (MdcError, ProviderError, UnknownVenue)

_Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Round:
    """Count what one round of judging did."""

    definitions: int = 0
    sessions: int = 0
    breached: int = 0
    restored: int = 0


def judge_freshness(*, now: datetime) -> Round:
    """Judge what is due, look again at what was breached, and signal new breaches.

    A round takes what a second holds; the rest waits for the next one. A definition that cannot
    be judged, such as one whose venue has no calendar, is put off and the reason audited.
    """
    freshness.switch_watches(now=now)
    due = freshness.due_definitions(now=now, limit=DEFINITIONS_PER_ROUND, symbols=SYMBOLS_PER_ROUND)
    if not due:
        return Round()
    try:
        return _judge(due, now=now)
    except _UNJUDGEABLE:
        # One of them stands in the way of the others: each for itself then.
        rounds = [_judge_or_put_off(definition_id, now=now) for definition_id in due]
    return Round(
        definitions=sum(one.definitions for one in rounds),
        sessions=sum(one.sessions for one in rounds),
        breached=sum(one.breached for one in rounds),
        restored=sum(one.restored for one in rounds),
    )


def _judge_or_put_off(definition_id: int, *, now: datetime) -> Round:
    try:
        return _judge([definition_id], now=now)
    except _UNJUDGEABLE as error:
        with transaction.atomic():
            freshness.put_off({definition_id: now + LONGEST_SLEEP})
            audit.record(
                actor=SYSTEM,
                action="freshness.unjudged",
                object_type="job_definition",
                object_id=definition_id,
                reason=str(error.args[0]),
            )
        return Round()


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """Hold what is to be looked at of one part: `due` are rows of `sessions`.

    `places` says where the session of each breach stands; a breach that is absent has none.
    """

    part: Part
    sessions: Closings
    due: Sequence[int]
    breaches: Sequence[Breach] = ()
    places: Mapping[int, int] = field(default_factory=dict)

    @property
    def key(self) -> _Key:
        return self.part.definition.id, self.part.venue

    @property
    def rows(self) -> list[int]:
        """Return every row of `sessions` to look at, ascending."""
        return sorted({*self.due, *self.places.values()})

    @property
    def target_us(self) -> int:
        return _target_us(self.part)


@dataclass(frozen=True, slots=True)
class _Judged:
    """Hold one judged session, and who lacked it over which stamps."""

    judgement: Judgement
    definition: str
    timeframe: Timeframe
    symbols: tuple[str, ...]
    window: Window

    @property
    def sentence(self) -> str:
        told = self.judgement
        more = ", ..." if len(self.symbols) > _NAMED else ""
        return (
            f"{told.venue} {told.session}: {told.lacking} of {told.series} symbols were not"
            f" complete by {told.due_at:%Y-%m-%d %H:%M:%S}Z:"
            f" {', '.join(self.symbols[:_NAMED])}{more}"
        )

    @property
    def signal(self) -> NewSignal:
        told = self.judgement
        return NewSignal(
            SIGNAL,
            symbols=self.symbols,
            timeframe=self.timeframe,
            window=self.window,
            evidence={
                "definition": self.definition,
                "venue": told.venue,
                "session": told.session.isoformat(),
                "due_at": told.due_at.isoformat(),
                "lacking": told.lacking,
                "of": told.series,
            },
            reason=self.sentence,
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """Hold what one look found, and when its part is to be looked at next."""

    definition_id: int
    judged: Sequence[_Judged]
    restored: Sequence[Breach]
    next_at: datetime


def _judge(definition_ids: Sequence[int], *, now: datetime) -> Round:
    with transaction.atomic():
        since = freshness.lock_watched(definition_ids, now=now)
        if not since:
            return Round()
        parts = promised_symbols(read_definitions(since), today=now.date())
        breaches = _by_key(freshness.open_breaches(since))
        looks = _looks(parts, breaches, since=since, now=now)
        reports = _reports(looks, now=now)
        found = [_look_at(look, reports, now=now) for look in looks]
        judged = [one for each in found for one in each.judged]
        missed = [one for one in judged if one.symbols]
        restored = [breach for each in found for breach in each.restored]
        restored += _left_behind(breaches, looks)
        freshness.record_judgements(one.judgement for one in judged)
        freshness.close_breaches([breach.id for breach in restored], at=now)
        _audit(missed, restored)
        signals.raise_many([one.signal for one in missed], actor=SYSTEM, now=now)
        freshness.put_off(_next_looks(found, now=now))
    return Round(
        definitions=len(since),
        sessions=len(judged),
        breached=len(missed),
        restored=len(restored),
    )


def _looks(
    parts: Sequence[Part],
    breaches: Mapping[_Key, Sequence[Breach]],
    *,
    since: Mapping[int, datetime],
    now: datetime,
) -> list[_Look]:
    """Choose what to look at: what is due and was not judged, and what was breached."""
    looks = [_due(part, since=since[part.definition.id], now=now) for part in parts]
    firsts = [int(look.sessions.labels[look.due[0]]) for look in looks if look.due]
    judged = freshness.judged_sessions(since, since=_day(min(firsts))) if firsts else {}
    return [
        _still_open(look, judged.get(look.key, set()), breaches.get(look.key, ())) for look in looks
    ]


def _due(part: Part, *, since: datetime, now: datetime) -> _Look:
    definition = part.definition
    sessions = closings(
        sessions_for(part.venue), timeframe=definition.timeframe, hours=definition.hours
    )
    due = sessions.due(
        since_us=to_us(since),
        until_us=to_us(now),
        target_us=_target_us(part),
        at_most=MOST_SESSIONS,
    )
    return _Look(part, sessions, due=range(due.start, due.stop))


def _still_open(look: _Look, judged: Collection[date], breaches: Sequence[Breach]) -> _Look:
    labels = look.sessions.labels
    return _Look(
        look.part,
        look.sessions,
        due=[row for row in look.due if _day(labels[row]) not in judged],
        breaches=breaches,
        places=look.sessions.places({one.id: _label(one.session) for one in breaches}),
    )


def _left_behind(breaches: Mapping[_Key, Sequence[Breach]], looks: Sequence[_Look]) -> list[Breach]:
    """Return the breaches at venues where a definition has no symbol any more."""
    looked_at = {look.key for look in looks}
    return [one for key, left in breaches.items() if key not in looked_at for one in left]


def _by_key(breaches: Sequence[Breach]) -> dict[_Key, list[Breach]]:
    found: dict[_Key, list[Breach]] = {}
    for one in breaches:
        found.setdefault((one.definition_id, one.venue), []).append(one)
    return found


def _reports(looks: Sequence[_Look], *, now: datetime) -> dict[int, GapReport]:
    """Judge every series once per venue, timeframe and hours, over all sessions looked at."""
    together: dict[tuple[str, Timeframe, Hours], list[_Look]] = {}
    for look in looks:
        if look.rows:
            shape = (look.part.venue, look.part.definition.timeframe, look.part.definition.hours)
            together.setdefault(shape, []).append(look)
    found: dict[int, GapReport] = {}
    for alike in together.values():
        first = min(int(look.sessions.starts[look.rows[0]]) for look in alike)
        last = max(int(look.sessions.ends[look.rows[-1]]) for look in alike)
        ids = {series_id for look in alike for _, series_id in look.part.series}
        found |= series_gaps(ids, now=now, start=from_us(first), end=from_us(last))
    return found


def _look_at(look: _Look, reports: Mapping[int, GapReport], *, now: datetime) -> _Found:
    rows = look.rows
    listed, lacking = _lacking(look.part, look.sessions.take(rows), reports)
    columns = {row: column for column, row in enumerate(rows)}
    judged = [
        _judged(look, row, listed=listed[:, column], lacking=lacking[:, column], now=now)
        for row, column in columns.items()
        if row in look.due
    ]
    still = {breach_id for breach_id, row in look.places.items() if lacking[:, columns[row]].any()}
    overdue = [one.due_at for one in look.breaches if one.id in still]
    overdue += [one.judgement.due_at for one in judged if one.symbols]
    return _Found(
        definition_id=look.part.definition.id,
        judged=judged,
        restored=[one for one in look.breaches if one.id not in still],
        next_at=_next_look(look, overdue, now=now),
    )


def _next_look(look: _Look, overdue: Sequence[datetime], *, now: datetime) -> datetime:
    now_us = to_us(now)
    times = [recheck_at(due_us=to_us(at), now_us=now_us) for at in overdue]
    upcoming = look.sessions.next_due(after_us=now_us, target_us=look.target_us)
    times += [upcoming] if upcoming is not None else []
    return min([now + LONGEST_SLEEP, *(from_us(at) for at in times)])


def _lacking(part: Part, sessions: Closings, reports: Mapping[int, GapReport]) -> tuple[Mask, Mask]:
    """Tell for each symbol (row) and session (column) whether it was listed, and whether none of
    its series accounts for it."""
    listed = (part.firsts[:, None] <= sessions.labels) & (sessions.labels < part.lasts[:, None])
    held = [(place, reports[series_id]) for place, series_id in part.series if series_id in reports]
    lacking = np.ones_like(listed)
    lacking[[place for place, _ in held]] = False
    # A series that is expected to hold nothing says nothing of what another provider's lacks.
    telling = [(place, report) for place, report in held if report.expected]
    places = np.array([place for place, _ in telling], np.intp)
    lacking[places] = True
    np.logical_and.at(lacking, places, lacks([report for _, report in telling], sessions))
    return listed, lacking & listed


def _judged(look: _Look, row: int, *, listed: Mask, lacking: Mask, now: datetime) -> _Judged:
    part, held = look.part, look.sessions
    symbols = tuple(part.symbols[place] for place in np.flatnonzero(lacking))
    closed_us = int(held.closes[row])
    return _Judged(
        judgement=Judgement(
            definition_id=part.definition.id,
            venue=part.venue,
            session=_day(held.labels[row]),
            closed_at=from_us(closed_us),
            due_at=from_us(closed_us + look.target_us),
            judged_at=now,
            series=int(listed.sum()),
            lacking=len(symbols),
            sample=symbols[:_SAMPLE],
        ),
        definition=part.definition.name,
        timeframe=part.definition.timeframe,
        symbols=symbols,
        window=Window.of_us(int(held.starts[row]), int(held.ends[row])),
    )


def _next_looks(found: Sequence[_Found], *, now: datetime) -> dict[int, datetime]:
    times: dict[int, datetime] = {}
    for one in found:
        times[one.definition_id] = min(one.next_at, times.get(one.definition_id, one.next_at))
    return times


def _audit(missed: Sequence[_Judged], restored: Sequence[Breach]) -> None:
    told = [(one.judgement.definition_id, "freshness.breached", one.sentence) for one in missed] + [
        (one.definition_id, "freshness.restored", f"{one.venue} {one.session} is complete")
        for one in restored
    ]
    for action in dict.fromkeys(action for _, action, _ in told):
        rows = [(key, sentence) for key, acted, sentence in told if acted == action]
        audit.record_each(
            actor=SYSTEM,
            action=action,
            object_type="job_definition",
            object_ids=[key for key, _ in rows],
            reasons=[sentence for _, sentence in rows],
        )


def _target_us(part: Part) -> int:
    assert part.definition.freshness is not None
    return part.definition.freshness // MICROSECOND


def _day(label_us: int) -> date:
    return from_us(label_us).date()


def _label(session: date) -> int:
    return to_us(datetime.combine(session, time(), UTC))
