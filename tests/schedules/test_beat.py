"""Beat, as a real process, fires schedules by itself, on time, and takes up new ones at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django_celery_beat.models import PeriodicTask

from ingestion.domain.errors import UnknownDefinition
from ingestion.models import BeatLease, Job, Slot
from ingestion.services.ensure_periodic_tasks import ensure_periodic_tasks
from ingestion.tasks import start_job
from mdc.stack.embedded import EmbeddedStack
from mdc.stack.processes import Surroundings, process_spec
from tests.schedules.scene import define, ledger, schedule
from tests.stack.waiting import until


@pytest.fixture
def transactional_db(committing: None) -> None:
    """Empty the ledgers too, which refuse what Django would do."""


def test_two_beats_one_leads_and_fires_on_time(workers: EmbeddedStack) -> None:
    """Without any worker: what fires is a row, and needs no message. The other takes over."""
    ensure_periodic_tasks()
    workers.start(["beat"], prepare=False)
    until(lambda: BeatLease.objects.exists(), within=20)
    first = BeatLease.objects.get().holder
    around = Surroundings(
        home=workers.home,
        environment=workers.environment,
        servers=(),
        fetch_processes=1,
        logins=workers.logins,
        ports={},
    )
    beat = process_spec("beat", around)
    environment = {**beat.environment, "MDC_READY_FILE": str(workers.home.run / "second.ready")}
    mark = workers.home.run / "second.ready"
    workers.run(
        replace(
            beat,
            name="second",
            environment=environment,
            ready=lambda pid: mark.exists() and mark.read_text() == str(pid),
        )
    )
    schedule("every 1 s", venue="", overlap="allow_all", now=datetime.now(UTC))
    until(lambda: Slot.objects.count() >= 3, within=20)
    late = [slot.decided_at - slot.due for slot in Slot.objects.filter(disposition="fired")]
    assert min(late) >= timedelta(0)
    assert min(late) < timedelta(seconds=1)
    assert BeatLease.objects.get().holder == first
    workers.stop_processes(["beat"])
    until(lambda: BeatLease.objects.exclude(holder=first).exists(), within=20)
    before = Slot.objects.count()
    until(lambda: Slot.objects.count() > before, within=20)
    dues = [due for due, _ in ledger()]
    assert len(dues) == Slot.objects.count()
    assert PeriodicTask.objects.get(name="mdc tick").total_run_count > 0


@pytest.mark.django_db
def test_a_periodic_task_of_ones_own_starts_a_definition_by_name() -> None:
    define()
    assert start_job("daily").startswith("job ")
    assert Job.objects.get().definition_id is not None
    with pytest.raises(UnknownDefinition):
        start_job("weekly")
