"""Two that find the same at once make one row and one repair; a death leaves nothing half done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from ingestion.domain.checks.found import Found
from ingestion.domain.coverage import Ranges
from ingestion.domain.findings import Check, Severity
from ingestion.domain.windows import DAY_US
from ingestion.models import Finding, Job
from ingestion.services.fetch_slice import Fetched
from ingestion.services.record_findings import record_findings
from providers.types import Adjustment
from tests.findings.test_rebase import FEBRUARY, answer, load
from tests.protocol.scene import NOW, Worker, loaded, open_running, series_of, slice_states, us


@pytest.fixture(autouse=True)
def db(committing: None) -> None:
    """Commit for real; by this name pytest-django learns that the test database is needed."""


MONDAY = us("2024-01-08")


def at_once(*calls: Callable[[], object]) -> None:
    """Run calls side by side, each on a connection of its own."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        try:
            barrier.wait()
            call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(run, call) for call in calls]:
            done.result()


def test_two_looks_at_once_make_one_finding() -> None:
    series = series_of(open_running())
    found = [
        Found(Check.SPIKE, Severity.WARNING, MONDAY + n * DAY_US, MONDAY + (n + 1) * DAY_US, {})
        for n in range(20)
    ]
    inspected = Ranges.of([(MONDAY, MONDAY + 30 * DAY_US)])
    at_once(
        lambda: record_findings(series, found, inspected=inspected, now=NOW),
        lambda: record_findings(series, found[::-1], inspected=inspected, now=NOW),
    )
    assert Finding.objects.count() == 20
    assert set(Finding.objects.values_list("times", flat=True)) == {2}


def test_two_workers_that_see_a_new_basis_open_one_repair() -> None:
    """The second finds the series in doubt: its bars are written, and the repair sees to all."""
    load()
    job_id = open_running(adjustment=Adjustment.SPLIT, **FEBRUARY)
    workers = [Worker.of(job_id), Worker.of(job_id)]
    answers = [answer(worker.claim(1)[0], 0.25) for worker in workers]
    at_once(lambda: workers[0].finish(answers[0]), lambda: workers[1].finish(answers[1]))
    assert Job.objects.filter(kind="repair").count() == 1
    finding = Finding.objects.get()
    assert (finding.state, finding.times) == ("repairing", 1)
    assert sorted(slice_states(job_id).items())[0] == ("done", 1)
    assert slice_states(job_id)["superseded"] == 1


def test_a_death_before_the_commit_leaves_the_slice_as_it_was() -> None:
    """Doubt, repair, finding and slice are one transaction: all of it or nothing."""
    load()
    job_id = open_running(adjustment=Adjustment.SPLIT, **FEBRUARY)
    worker = Worker.of(job_id)
    told = answer(worker.claim(1)[0], 0.25)
    before = loaded(told.claimed.series_id)
    with pytest.raises(Died):
        finish_and_die(worker, told)
    assert loaded(told.claimed.series_id) == before
    assert not Finding.objects.exists()
    assert not Job.objects.filter(kind="repair").exists()
    assert slice_states(job_id)["leased"] == 1
    worker.finish(told)
    assert Job.objects.filter(kind="repair").count() == 1


class Died(Exception):
    """Stand for a process that dies before its transaction commits."""


def finish_and_die(worker: Worker, told: Fetched) -> None:
    """Do all of a finish but its commit."""
    with transaction.atomic():
        worker.finish(told)
        raise Died
