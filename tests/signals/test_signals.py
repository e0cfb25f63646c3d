"""Signals: whom they concern, when they start it, and how a storm becomes one job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from ingestion.domain.actor import SYSTEM
from ingestion.domain.errors import BadRequest
from ingestion.domain.windows import Window
from ingestion.models import JobDefinition, Schedule, Signal, SignalMatch, Slot
from ingestion.services.raise_signal import raise_signal
from ingestion.store import signals
from ingestion.store.signals import NewSignal
from providers.types import Timeframe

pytestmark = pytest.mark.django_db

NOW = datetime(2024, 6, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GATHER = timedelta(seconds=5)
DAY = Window(datetime(2024, 5, 31, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC))
NEXT_DAY = Window(datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 6, 2, tzinfo=UTC))


def define(name: str, *symbols: str, timeframe: str = "1d") -> JobDefinition:
    """Declare a dataset."""
    return JobDefinition.objects.create(
        name=name,
        symbols=list(symbols),
        timeframe=timeframe,
        history_start="2020-01-01",
        providers=["synthetic"],
    )


def listen(definition: JobDefinition, to: str, **columns: Any) -> Schedule:
    """Let a definition start on a signal."""
    return Schedule.objects.create(
        name=f"{definition.name}-on-{to}",
        definition=definition,
        rule={"kind": "signal", "name": to},
        **columns,
    )


def fires_at(schedule: Schedule) -> datetime | None:
    """Read when a schedule fires next."""
    schedule.refresh_from_db()
    assert schedule.next_due_at == schedule.next_fire_at
    return schedule.next_fire_at


def tell(name: str = "gap", *symbols: str, now: datetime = NOW, **told: Any) -> int:
    """Raise a signal."""
    return raise_signal(name, actor=SYSTEM, now=now, symbols=symbols, **told)


def slot_of(schedule: Schedule, due: datetime = NOW) -> Slot:
    """Record that a schedule fired."""
    return Slot.objects.create(schedule=schedule, due=due, disposition="fired", decided_at=due)


def test_a_signal_wakes_whom_it_concerns_and_nobody_else() -> None:
    """Symbols, timeframe and name must fit; a signal without them concerns everybody."""
    mine = listen(define("mine", "AAA", "BBB"), "gap")
    others = listen(define("others", "CCC"), "gap")
    minutes = listen(define("minutes", "AAA", timeframe="1m"), "gap")
    spikes = listen(define("spikes", "AAA"), "spike")
    signal_id = tell("gap", "AAA", "ZZZ", timeframe=Timeframe.D1, window=DAY)
    assert fires_at(mine) == NOW + GATHER
    assert [fires_at(one) for one in (others, minutes, spikes)] == [None, None, None]
    assert signals.waiting([mine.pk, others.pk]) == {mine.pk}
    assert [one.schedule for one in signals.listeners(signal_id)] == ["mine-on-gap"]
    tell("gap")
    assert fires_at(others) == fires_at(minutes) == NOW + GATHER
    assert fires_at(spikes) is None


def test_a_schedule_that_is_over_or_not_begun_does_not_listen() -> None:
    """Its start and end dates bound what it hears."""
    over = listen(define("over", "AAA"), "gap", ends_at=NOW)
    later = listen(define("later", "AAA"), "gap", starts_at=NOW + MINUTE)
    tell("gap")
    assert signals.waiting([over.pk, later.pk]) == set()


def test_a_cool_down_puts_the_next_start_off() -> None:
    """After a start the next one waits for the cool-down; one that is due keeps its time."""
    eager = listen(define("eager", "AAA"), "gap", last_fired_at=NOW - 4 * MINUTE)
    rested = listen(define("rested", "AAA"), "gap", last_fired_at=NOW - 40 * MINUTE)
    tell("gap")
    assert fires_at(eager) == NOW + MINUTE
    assert fires_at(rested) == NOW + GATHER
    tell("gap", now=NOW + timedelta(seconds=3))
    assert fires_at(eager) == NOW + MINUTE
    assert fires_at(rested) == NOW + GATHER


def test_a_storm_gathers_into_one_start_in_few_statements(
    django_assert_max_num_queries: Any,
) -> None:
    """A thousand signals become one union of symbols and one hull of windows."""
    symbols = [f"S{n:03d}" for n in range(300)]
    schedule = listen(define("all", *symbols), "gap")
    storm = [
        NewSignal("gap", symbols=(symbols[n % 200], "STRANGER"), window=DAY if n % 2 else NEXT_DAY)
        for n in range(1_000)
    ]
    with django_assert_max_num_queries(5):
        ids = signals.raise_many(storm, actor=SYSTEM, now=NOW)
    assert len(ids) == Signal.objects.count() == 1_000
    assert fires_at(schedule) == NOW + GATHER
    found = signals.gathered([schedule.pk])[schedule.pk]
    assert found.symbols == tuple(symbols[:200])
    assert found.window == Window(DAY.start, NEXT_DAY.end)
    assert (found.signals, found.first_id) == (1_000, ids[0])


def test_one_signal_without_symbols_or_window_widens_what_is_gathered() -> None:
    """What is unbounded in one is unbounded in all."""
    schedule = listen(define("mine", "AAA", "BBB"), "gap")
    tell("gap", "AAA", window=DAY)
    found = signals.gathered([schedule.pk])[schedule.pk]
    assert (found.symbols, found.window) == (("AAA",), DAY)
    tell("gap")
    found = signals.gathered([schedule.pk])[schedule.pk]
    assert (found.symbols, found.window) == ((), None)


def test_what_is_raised_after_gathering_waits_for_the_next_start() -> None:
    """Marking takes exactly what was gathered; the rest wakes the schedule again."""
    schedule = listen(define("mine", "AAA", "BBB"), "gap")
    first = tell("gap", "AAA")
    found = signals.gathered([schedule.pk])
    second = tell("gap", "BBB")
    slot = slot_of(schedule)
    Schedule.objects.update(next_due_at=None, next_fire_at=None, last_fired_at=NOW)
    signals.mark_fired({schedule.pk: slot.pk}, found=found)
    acted = dict(SignalMatch.objects.values_list("signal_id", "slot_id"))
    assert acted == {first: slot.pk, second: None}
    assert signals.gathered([schedule.pk])[schedule.pk].symbols == ("BBB",)
    assert signals.wake_waiting(now=NOW) == 1
    assert fires_at(schedule) == NOW + timedelta(minutes=5)
    assert signals.wake_waiting(now=NOW) == 0


def test_what_no_longer_concerns_a_definition_does_not_start_it() -> None:
    """A symbol that was taken out between raising and firing is not fetched, nor woken for."""
    definition = define("mine", "AAA", "BBB")
    schedule = listen(definition, "gap")
    tell("gap", "AAA")
    JobDefinition.objects.filter(pk=definition.pk).update(symbols=["BBB"])
    Schedule.objects.update(next_due_at=None, next_fire_at=None)
    assert signals.gathered([schedule.pk]) == {}
    assert signals.waiting([schedule.pk]) == set()
    assert signals.wake_waiting(now=NOW) == 0


def test_a_signal_that_cannot_be_meant_is_refused() -> None:
    """A name is a slug; nothing is recorded otherwise."""
    for name in ("", "a gap", "x" * 65):
        with pytest.raises(BadRequest):
            tell(name)
    with pytest.raises(BadRequest):
        tell("gap", " ")
    assert not Signal.objects.exists()


def test_finding_the_listeners_does_not_read_every_schedule() -> None:
    """Of any number of schedules only those on signals are looked at."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT sc.id FROM signal s, schedule sc"
            " WHERE s.id = 1 AND (sc.rule -> 'kind') = '\"signal\"'::jsonb"
            " AND (sc.rule ->> 'name') = s.name"
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "schedule_on_signal" in plan
