"""Signals start schedules: a storm makes one job, and what meets an open one goes on waiting."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ingestion.domain.actor import Actor
from ingestion.domain.windows import Window
from ingestion.models import Schedule, SignalMatch, Slot
from ingestion.services.pause_schedule import pause_schedule
from ingestion.services.trigger_schedule import trigger_schedule
from ingestion.store.signals import NewSignal, raise_many
from tests.schedules.scene import START, at, define, dispositions, end_jobs, fire, jobs, schedule

pytestmark = pytest.mark.django_db

PERSON = Actor(name="ada", source="cli")


@pytest.fixture
def listener() -> Schedule:
    """Give a schedule that repairs gaps: it gathers for 5 s and cools down for 5 min."""
    define(symbols=["AAA", "BBB", "CCC"])
    return schedule("on signal gap", venue="", action="repair")


def _raise(*symbols: str, now: datetime = START, day: int = 3) -> None:
    window = Window(at(f"2024-05-{day:02}"), at(f"2024-05-{day + 1:02}"))
    raise_many([NewSignal("gap", symbols=symbols, window=window)], actor=PERSON, now=now)


def test_a_storm_makes_one_job(listener: Schedule) -> None:
    """A thousand signals gather for five seconds: one slot, one job, the union and the hull."""
    raise_many(
        [
            NewSignal(
                "gap",
                symbols=["BBB" if number % 2 else "AAA", "ZZZ"],
                window=Window(at("2024-05-03"), at("2024-05-04") + timedelta(days=number % 5)),
            )
            for number in range(1000)
        ],
        actor=PERSON,
        now=START,
    )
    assert fire(START + timedelta(seconds=4)).slots == 0
    assert fire(START + timedelta(seconds=5)).fired == 1
    (job,) = jobs()
    assert (job.kind, job.priority) == ("repair", 150)
    assert job.request["symbols"] == ["AAA", "BBB"]
    assert [one[:10] for one in job.request["window"]] == ["2024-05-03", "2024-05-08"]
    assert Slot.objects.get().reason.startswith("1,000 signals, the first is ")
    assert not SignalMatch.objects.filter(slot=None).exists()
    listener.refresh_from_db()
    assert listener.next_fire_at is None


def test_the_next_one_waits_until_the_cool_down_is_over(listener: Schedule) -> None:
    _raise("AAA")
    fire(START + timedelta(seconds=5))
    end_jobs()
    _raise("BBB", now=START + timedelta(seconds=10))
    assert fire(START + timedelta(minutes=5)).slots == 0
    assert fire(START + timedelta(minutes=5, seconds=5)).fired == 1
    assert [one.request["symbols"] for one in jobs()] == [["AAA"], ["BBB"]]


@pytest.mark.parametrize("overlap", ["skip", "buffer_one"])
def test_what_meets_an_open_job_goes_on_waiting(listener: Schedule, overlap: str) -> None:
    """Nothing of what was raised meanwhile is lost: the job after the open one does it all."""
    Schedule.objects.update(overlap=overlap)
    moments = [START + timedelta(minutes=6 * number) for number in range(4)]
    for number, moment in enumerate(moments[:3]):
        _raise("ABC"[number] * 3, now=moment, day=3 + number)
        fire(moment + timedelta(seconds=5))
    second = "skipped_overlap" if overlap == "skip" else "fired"
    assert dispositions() == ["fired", second, "skipped_overlap"]
    end_jobs()
    fire(moments[3])
    assert dispositions()[3:] == ["fired"]
    last = jobs()[-1]
    assert last.request["symbols"] == (["BBB", "CCC"] if overlap == "skip" else ["CCC"])


def test_a_pause_consumes_what_is_raised_meanwhile(listener: Schedule) -> None:
    pause_schedule("nightly", now=START, actor=PERSON)
    _raise("AAA")
    fire(START + timedelta(seconds=5))
    assert dispositions() == ["paused"]
    assert not SignalMatch.objects.filter(slot=None).exists()


def test_a_person_need_not_wait_for_the_gathering(listener: Schedule) -> None:
    """What waits is done by the trigger, and nothing is left for the slot that was ahead."""
    _raise("CCC")
    trigger_schedule("nightly", now=START, actor=PERSON)
    assert jobs()[0].request["symbols"] == ["CCC"]
    assert fire(START + timedelta(seconds=5)).slots == 0
    listener.refresh_from_db()
    assert listener.next_fire_at is None
