"""What a span of time brought, summed from the ledgers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from ingestion.domain.errors import UnknownDefinition
from ingestion.models import Account, Attempt, Freshness, Job, JobDefinition, Schedule, Slot
from ingestion.services.show_freshness import show_freshness
from ingestion.services.show_kpis import show_kpis
from ingestion.store.clock import database_now
from ingestion.store.kpis import Ended

pytestmark = pytest.mark.django_db

WEEK = timedelta(days=7)
SECOND = timedelta(seconds=1)


@pytest.fixture
def now() -> datetime:
    """Let both clocks show the same time."""
    return database_now()


@pytest.fixture
def definition() -> JobDefinition:
    """Declare a dataset."""
    return JobDefinition.objects.create(
        name="daily",
        symbols=["AAA"],
        timeframe="1d",
        history_start="2020-01-01",
        providers=["synthetic"],
        freshness=timedelta(minutes=20),
    )


def schedule(definition: JobDefinition, name: str = "nightly", **columns: Any) -> Schedule:
    """Let a definition be due after each close."""
    rule = {"kind": "close", "offset_seconds": columns.pop("seconds", 900), "of": "each"}
    return Schedule.objects.create(name=name, definition=definition, rule=rule, **columns)


def slot(of: Schedule, due: datetime, *, late: timedelta = SECOND, how: str = "fired") -> Slot:
    """Decide a due time."""
    return Slot.objects.create(schedule=of, due=due, decided_at=due + late, disposition=how)


def job(ended_at: datetime, **columns: Any) -> Job:
    """Let a job have ended."""
    account, _ = Account.objects.get_or_create(provider="synthetic")
    wanted = {"kind": "update", "state": "completed", "outcome": "complete"} | columns
    return Job.objects.create(
        workload="historical", account=account, spec={}, ended_at=ended_at, **wanted
    )


def attempt(of: Job, ended_at: datetime, **columns: Any) -> Attempt:
    """Record a try at a slice."""
    wanted = {"slice_id": 1, "outcome": "done", "n": 1, "series_id": 1, "requests": 1} | columns
    return Attempt.objects.create(
        job_id=of.pk,
        account_id=of.account_id,
        executor_id=uuid4(),
        leased_at=ended_at,
        ended_at=ended_at,
        code_version="test",
        **wanted,
    )


def test_nothing_happened(now: datetime) -> None:
    """An empty database has no share, no lateness and no average."""
    found = show_kpis(since=now - WEEK, now=now)
    assert (found.slots, found.ended, found.freshness, found.verified) == ({}, [], [], [])
    assert (found.reliability, found.lateness.p99, found.recovery.mean) == (None, None, None)
    assert (found.work.requests, found.incidents) == (0, 0)


def test_slots_count_by_disposition_and_lateness(now: datetime, definition: JobDefinition) -> None:
    """Only what fired is late, and what was put off on purpose is not."""
    plain, jittered = schedule(definition), schedule(definition, "later", jitter=WEEK)
    for minute in range(1, 101):
        slot(plain, now - timedelta(minutes=minute), late=SECOND * minute / 100)
    slot(jittered, now - timedelta(hours=5), late=timedelta(hours=4))
    slot(plain, now - timedelta(hours=9), how="skipped_late", late=timedelta(hours=8))
    slot(plain, now - 2 * WEEK)
    found = show_kpis(since=now - WEEK, now=now)
    assert found.slots == {"fired": 101, "skipped_late": 1}
    assert found.lateness.fired == 100
    assert found.lateness.p50 == timedelta(seconds=0.505)
    assert found.lateness.p99 is not None
    assert timedelta(seconds=0.98) < found.lateness.p99 < SECOND


def test_reliability_counts_what_nobody_cancelled(now: datetime) -> None:
    """Three of four ended complete; a cancelled one is nobody's failure."""
    for _ in range(3):
        job(now)
    job(now, state="failed", outcome=None, kind="repair")
    job(now, state="cancelled", outcome=None)
    job(now - 2 * WEEK, outcome="partial")
    found = show_kpis(since=now - WEEK, now=now)
    assert found.reliability == 0.75
    assert set(found.ended) == {
        Ended("update", "complete", 3),
        Ended("repair", "failed", 1),
        Ended("update", "cancelled", 1),
    }


def test_work_recovery_and_throttling(now: datetime) -> None:
    """Two slices failed, one recovered after a minute; three refusals were two incidents."""
    one = job(now)
    attempt(one, now - timedelta(minutes=10), outcome="retry", error_class="TransientError")
    attempt(one, now - timedelta(minutes=9), inserted=5, revised=2, requests=3)
    attempt(one, now - timedelta(minutes=8), outcome="dead", slice_id=2)
    for seconds in (500, 490, 60):
        attempt(
            one,
            now - timedelta(seconds=seconds),
            outcome="yielded",
            error_class="ThrottledError",
            slice_id=3,
        )
    attempt(one, now - 2 * WEEK, inserted=1_000)
    found = show_kpis(since=now - WEEK, now=now)
    assert (found.work.inserted, found.work.revised, found.work.requests) == (5, 2, 8)
    assert (found.work.failures, found.work.throttled, found.incidents) == (2, 3, 2)
    recovery = found.recovery
    assert (recovery.failed, recovery.recovered, recovery.mean) == (2, 1, timedelta(minutes=1))


def test_a_moved_clock_dates_slots_and_the_machine_dates_work(
    now: datetime, definition: JobDefinition
) -> None:
    """In a rehearsal a week may pass in a minute."""
    shown = now + timedelta(days=300)
    slot(schedule(definition), shown - timedelta(days=3))
    one = job(now - timedelta(seconds=30))
    attempt(one, now - timedelta(seconds=30))
    attempt(one, now - timedelta(seconds=90))
    found = show_kpis(since=shown - WEEK, now=shown, seconds=60)
    assert (found.slots, found.work.attempts, len(found.ended)) == ({"fired": 1}, 1, 1)


def judged(definition: JobDefinition, day: int, *, lacking: int, late: bool = False) -> None:
    """Record a judged session."""
    closed = datetime(2024, 1, day, 21, tzinfo=UTC)
    Freshness.objects.create(
        definition=definition,
        venue="XNYS",
        session=date(2024, 1, day),
        closed_at=closed,
        due_at=closed + timedelta(minutes=20),
        judged_at=closed + timedelta(minutes=20),
        series=3,
        lacking=lacking,
        sample=["AAA"] if lacking else [],
        complete_at=None if lacking and not late else closed + timedelta(hours=1),
    )


def test_freshness_is_shared_per_definition(definition: JobDefinition) -> None:
    """What was late and came stays late; what never came is open."""
    judged(definition, 2, lacking=0)
    judged(definition, 3, lacking=2, late=True)
    judged(definition, 4, lacking=1)
    since = datetime(2024, 1, 1, tzinfo=UTC)
    (one,) = show_freshness(since=since)
    (kept,) = one.kept
    assert (kept.judged, kept.on_time, kept.open, kept.last_lacking) == (3, 1, 1, 1)
    assert kept.slowest == timedelta(hours=1)
    assert [(late.session.day, late.sample) for late in one.late] == [(4, ["AAA"]), (3, ["AAA"])]
    (share,) = show_kpis(since=since, now=since + WEEK).freshness
    assert (share.definition, share.judged, share.on_time, share.open) == ("daily", 3, 1, 1)


def test_what_vendors_revised_is_counted_by_age(now: datetime, definition: JobDefinition) -> None:
    """Each age is a schedule; its jobs say what changed since."""
    for name, seconds, revised in (("after-1d", 86_400, 1), ("after-1h", 3_600, 4)):
        rule = schedule(definition, name, seconds=seconds, action="verify")
        for hours in (1, 2):
            due = slot(rule, now - timedelta(hours=hours))
            attempt(job(now, slot=due, kind="reconcile"), now, revised=revised, unchanged=10)
    slot(schedule(definition), now - timedelta(hours=1))
    (one,) = show_freshness(since=now - WEEK, definition="daily")
    assert [
        (row.schedule, row.age, row.sessions, row.revised, row.unchanged) for row in one.verified
    ] == [
        ("after-1h", timedelta(hours=1), 2, 8, 20),
        ("after-1d", timedelta(days=1), 2, 2, 20),
    ]


def test_an_unknown_definition_is_said(now: datetime) -> None:
    """Nothing is shown of what does not exist."""
    with pytest.raises(UnknownDefinition):
        show_freshness(since=now, definition="nope")
