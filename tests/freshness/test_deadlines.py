"""Jobs that are still at work when they should have ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingestion.models import Account, AuditEvent, Job, JobDefinition, Signal
from ingestion.services.miss_deadlines import miss_deadlines

pytestmark = pytest.mark.django_db

NOW = datetime(2024, 1, 2, 22, tzinfo=UTC)


def work(**columns: Any) -> Job:
    """Make a job that should have ended by NOW."""
    account, _ = Account.objects.get_or_create(provider="synthetic")
    wanted = {"state": "running", "deadline_at": NOW} | columns
    return Job.objects.create(
        workload="historical", kind="update", account=account, spec={}, **wanted
    )


def test_an_open_job_misses_its_deadline_once() -> None:
    """It is marked, audited and signalled, and not again a second later."""
    definition = JobDefinition.objects.create(
        name="daily",
        symbols=["AAA", "BBB"],
        timeframe="1d",
        history_start="2020-01-01",
        providers=["synthetic"],
    )
    job = work(definition=definition)
    assert miss_deadlines(now=NOW - timedelta(seconds=1)) == 0
    assert miss_deadlines(now=NOW) == 1
    assert miss_deadlines(now=NOW + timedelta(seconds=1)) == 0
    job.refresh_from_db()
    assert (job.state, job.deadline_missed_at) == ("running", NOW)
    (event,) = AuditEvent.objects.all()
    assert (event.action, event.object_id) == ("job.deadline_missed", str(job.pk))
    (signal,) = Signal.objects.all()
    assert (signal.name, signal.symbols) == ("deadline_missed", ["AAA", "BBB"])
    assert (signal.timeframe, signal.evidence["job"]) == ("1d", job.pk)


def test_an_ended_job_misses_nothing() -> None:
    """Neither one that ended in time nor one without a deadline."""
    work(state="failed", ended_at=NOW)
    work(deadline_at=None)
    paused = work(state="paused")
    assert miss_deadlines(now=NOW) == 1
    assert Job.objects.get(deadline_missed_at=NOW) == paused


def test_many_are_marked_in_few_statements(django_assert_max_num_queries: Any) -> None:
    """A provider that stalls lets many jobs be late at once."""
    for _ in range(20):
        work()
    with django_assert_max_num_queries(6):
        assert miss_deadlines(now=NOW) == 20
