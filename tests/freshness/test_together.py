"""Several ticks and signals at once: each session is judged once, nothing raised is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from ingestion.domain.actor import SYSTEM
from ingestion.models import AuditEvent, Freshness, JobDefinition, Schedule, Signal
from ingestion.services.judge_freshness import judge_freshness
from ingestion.services.raise_signal import raise_signal
from ingestion.store import signals
from tests.protocol.conftest import committing
from tests.protocol.test_races import together

__all__ = ["committing"]

CLOSE = datetime(2024, 1, 2, 21, tzinfo=UTC)
DUE = CLOSE + timedelta(minutes=20)


@pytest.fixture(autouse=True)
def db(committing: None) -> None:
    """Commit for real; by this name pytest-django learns that the test database is needed."""


def define(number: int) -> JobDefinition:
    """Declare a dataset of which nothing is stored, with a schedule that listens."""
    definition = JobDefinition.objects.create(
        name=f"daily-{number}",
        symbols=[f"S{number}"],
        timeframe="1d",
        history_start="2020-01-01",
        providers=["synthetic"],
        freshness=timedelta(minutes=20),
    )
    Schedule.objects.create(
        name=f"mend-{number}",
        definition=definition,
        rule={"kind": "signal", "name": "freshness_breached"},
    )
    return definition


def test_ticks_at_once_judge_each_session_once() -> None:
    """Whoever comes second finds the definitions taken, or judged."""
    for number in range(20):
        define(number)
    judge_freshness(now=CLOSE)
    together(*[lambda: judge_freshness(now=DUE)] * 4)
    judge_freshness(now=DUE + timedelta(seconds=1))
    assert Freshness.objects.count() == 20
    assert Signal.objects.count() == AuditEvent.objects.count() == 20
    assert Schedule.objects.filter(next_fire_at__isnull=False).count() == 20


def test_a_signal_does_not_wait_for_a_schedule_that_is_being_fired() -> None:
    """It is raised at once, whoever holds the schedule, and wakes it when that one is done."""
    define(1)
    schedule = Schedule.objects.get()
    with transaction.atomic():
        # As firing does.
        held = Schedule.objects.select_for_update(no_key=True, skip_locked=True).get()
        together(lambda: raise_signal("freshness_breached", actor=SYSTEM, now=DUE))
        held.refresh_from_db()
        assert held.next_fire_at is None
    assert signals.waiting([schedule.pk]) == {schedule.pk}
    assert signals.wake_waiting(now=DUE) == 1
    schedule.refresh_from_db()
    assert schedule.next_fire_at == DUE + timedelta(seconds=5)
