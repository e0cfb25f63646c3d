"""Two who fire at once, and those who die over it, lose nothing and do nothing twice."""

from __future__ import annotations

import os
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import IntegrityError, connections, transaction

from ingestion.domain.actor import Actor
from ingestion.models import BeatLease, Job, Schedule, Slot
from ingestion.services.fire_schedules import fire_schedules
from ingestion.services.pause_schedule import pause_schedule
from ingestion.services.plan_job import plan_or_fail
from ingestion.services.renew_beat_lease import give_back_beat_lease, renew_beat_lease
from ingestion.services.trigger_schedule import trigger_schedule
from ingestion.store.crashpoints import POINTS
from tests.protocol.together import together
from tests.schedules.scene import at, define, dispositions, fire, jobs, schedule

PERSON = Actor(name="ada", source="cli")
CLOSE = at("2024-06-03T20:00")
OWN_POINTS = sorted(point for point in POINTS if point.startswith(("fire.", "resolve.")))


@pytest.fixture(autouse=True)
def db(committing: None) -> None:
    """Commit for real; by this name pytest-django learns that the test database is needed."""


def _many(count: int) -> None:
    definition = define(symbols=["AAA"])
    for number in range(count):
        schedule("close", name=f"s{number}", definition=definition)


def test_two_beats_and_a_tick_fire_each_slot_once() -> None:
    _many(40)

    def work() -> int:
        return sum(fire_schedules(now=CLOSE, limit=5).fired for _ in range(9))

    fired = together(work, work, work)
    assert sum(fired) == 40
    assert Slot.objects.count() == Job.objects.count() == 40
    assert not Schedule.objects.filter(next_fire_at__lte=CLOSE).exists()


def test_a_slot_cannot_be_written_twice_even_by_force() -> None:
    """Whoever would fire a due time again meets what is in the ledger, or the database's guard."""
    row = schedule("close")
    fire(CLOSE)
    Schedule.objects.update(next_due_at=CLOSE, next_fire_at=CLOSE)
    fire(CLOSE + timedelta(seconds=1))
    assert dispositions() == ["fired"]
    with pytest.raises(IntegrityError, match="slot_once"), transaction.atomic():
        Slot.objects.create(schedule=row, due=CLOSE, disposition="fired", decided_at=CLOSE)


def test_a_pause_and_a_trigger_meet_a_fire() -> None:
    """Whatever the order, each due time is decided once, and the trigger has a slot of its own."""
    schedule("close", overlap="allow_all")
    together(
        lambda: fire_schedules(now=CLOSE),
        lambda: pause_schedule("nightly", now=CLOSE, actor=PERSON),
        lambda: trigger_schedule("nightly", now=CLOSE + timedelta(seconds=1), actor=PERSON),
    )
    assert dispositions() == ["fired", "fired"]
    assert len(jobs()) == 2


def test_of_two_beats_one_leads_until_it_parts_or_dies() -> None:
    first, second = uuid4(), uuid4()
    led = together(
        lambda: renew_beat_lease(holder=first, host="a"),
        lambda: renew_beat_lease(holder=second, host="b"),
    )
    assert sorted(led) == [False, True]
    leader, other = (first, second) if led[0] else (second, first)
    assert renew_beat_lease(holder=leader, host="a")
    assert not renew_beat_lease(holder=other, host="b")
    BeatLease.objects.update(until=at("2024-01-01"))
    assert renew_beat_lease(holder=other, host="b")
    assert not renew_beat_lease(holder=leader, host="a")
    give_back_beat_lease(holder=other)
    assert renew_beat_lease(holder=leader, host="a")


def _die_at(point: str, folder: Path) -> None:
    """Let a process of its own fire and plan, and die at a point."""
    (folder / point).touch()
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            fire_schedules(now=CLOSE)
            for job in Job.objects.order_by("id"):
                plan_or_fail(job.id, now=CLOSE)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("point", OWN_POINTS)
def test_a_death_at_any_moment_changes_nothing_in_the_end(
    point: str, tmp_path: Path, settings: pytest.FixtureRequest
) -> None:
    settings.CRASH_POINTS = str(tmp_path)  # type: ignore[attr-defined]
    _many(3)
    _die_at(point, tmp_path)
    before = Slot.objects.count()
    assert before == (0 if point in ("fire.after_slots", "fire.before_commit") else 3)
    fire(CLOSE)
    for job in Job.objects.order_by("id"):
        assert plan_or_fail(job.id, now=CLOSE)
    assert Counter(Slot.objects.values_list("disposition", flat=True)) == {"fired": 3}
    assert Job.objects.filter(request__isnull=True).count() == Job.objects.count() == 3
