"""Historical and polling jobs obey alike: from draft to their end, within ten seconds each time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from pytest_django import DjangoDbBlocker

from ingestion.domain.actor import Actor
from ingestion.domain.spec import JobRequest
from ingestion.domain.states import JobState, Workload
from ingestion.services.cancel_job import cancel_job
from ingestion.services.open_job import open_job
from ingestion.services.pause_job import pause_job
from ingestion.services.resume_job import resume_job
from ingestion.services.start_job import start_job
from mdc.stack.embedded import EmbeddedStack
from providers.base import RateLimit
from providers.types import Timeframe
from tests.conftest import own_database
from tests.recovery.field import PROCESSES, TESTER, Field, at_home_in, day, open_field
from tests.stack.waiting import until

SECOND = timedelta(seconds=1)
IN_EFFECT_SECONDS = 10.0


@pytest.fixture(scope="module")
def running_field(
    servers: EmbeddedStack, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Field]:
    with (
        own_database(servers, django_db_blocker) as url,
        open_field(database_url=url, broker_url=servers.broker_url) as running,
    ):
        running.stack.start(PROCESSES, prepare=False)
        yield running


@pytest.fixture
def db(running_field: Field, django_db_blocker: DjangoDbBlocker) -> Iterator[Field]:
    """By this name pytest-django learns that the test database is needed, which is copied."""
    with at_home_in(running_field, django_db_blocker) as prepared:
        yield prepared


@pytest.fixture
def field(db: Field) -> Field:
    return db


def ask(verb: Callable[..., JobState], jobs: Sequence[int], state: str, field: Field) -> None:
    """Ask the same of jobs and wait until all are in a state; at most ten seconds in all."""
    begun = time.monotonic()
    for job_id in jobs:
        verb(job_id, actor=TESTER)
    left = IN_EFFECT_SECONDS - (time.monotonic() - begun)
    until(lambda: set(field.states(jobs).values()) == {state}, within=left)


def attempts(field: Field, jobs: Sequence[int]) -> dict[int, int]:
    """Count the finished tries of each job that has any."""
    return dict(
        field.sql(
            "SELECT job_id, count(*) FROM attempt WHERE job_id = ANY(%s) AND outcome = 'done'"
            " GROUP BY 1",
            list(jobs),
        )
    )


def test_a_job_goes_from_draft_to_completed_by_way_of_a_pause(field: Field) -> None:
    """A draft waits for its start, a pause keeps what is done, and resuming ends the work."""
    request = JobRequest(
        provider="synthetic",
        symbols=("DRAFTED",),
        timeframes=(Timeframe.H1,),
        start=day("2020-01-01"),
        end=day("2020-07-01"),
        slice_span=timedelta(days=2),
        rate_limit=RateLimit(20, SECOND),
    )
    job_id = open_job(request, now=datetime.now(UTC), actor=TESTER, draft=True).job_id
    time.sleep(2)
    assert field.states([job_id]) == {job_id: "draft"}
    ask(start_job, [job_id], "running", field)
    until(lambda: bool(attempts(field, [job_id])))
    ask(pause_job, [job_id], "paused", field)
    done = attempts(field, [job_id])
    assert field.sql("SELECT 1 FROM checkpoint WHERE job_id = %s AND ts IS NOT NULL", job_id)
    ask(resume_job, [job_id], "running", field)
    until(lambda: field.states([job_id])[job_id] == "completed", within=60)
    assert attempts(field, [job_id])[job_id] > done[job_id]
    assert moves(field, job_id) == ["queued", "running", "paused", "running", "completed"]


def test_a_polling_job_goes_through_the_same_states(field: Field) -> None:
    """It fetches the newest bars, pauses, goes on where it was, and ends by being cancelled."""
    job_id = field.open(
        symbols=("ROUND-THE-CLOCK",),
        venue="24/7",
        timeframes=(Timeframe.M1,),
        start=datetime.now(UTC) - timedelta(minutes=90),
        end=None,
        slice_span=None,
        workload=Workload.REALTIME,
        poll_seconds=1,
    )
    until(lambda: attempts(field, [job_id]).get(job_id, 0) >= 3, within=60)
    assert field.states([job_id]) == {job_id: "running"}
    ask(pause_job, [job_id], "paused", field)
    before = attempts(field, [job_id])
    time.sleep(2.5)
    assert attempts(field, [job_id]) == before
    ask(resume_job, [job_id], "running", field)
    until(lambda: attempts(field, [job_id]) != before, within=IN_EFFECT_SECONDS)
    ask(cancel_job, [job_id], "cancelled", field)
    assert moves(field, job_id) == ["running", "paused", "running", "cancelled"]
    bars = field.sql("SELECT ts, final FROM bars WHERE symbol = 'ROUND-THE-CLOCK' ORDER BY ts", *())
    stamps = [ts for ts, _ in bars]
    assert len(stamps) >= 90
    assert {later - ts for ts, later in pairwise(stamps)} == {timedelta(minutes=1)}
    assert all(final for _, final in bars[:-2]), "only the bar that is forming may change"
    assert datetime.now(UTC) - stamps[-1] < timedelta(minutes=2)


def moves(field: Field, job_id: int) -> list[str]:
    """List the states that a job has entered, from the audit ledger."""
    actions = field.sql(
        "SELECT action FROM audit_event WHERE object_type = 'job' AND object_id = %s::text"
        " ORDER BY id",
        str(job_id),
    )
    states = {state.value for state in JobState}
    entered = [action.removeprefix("job.") for (action,) in actions]
    return [state for state in entered if state in states]


def test_orders_are_written_down_with_who_gave_them(field: Field) -> None:
    """The audit ledger names the person, what was asked, why, and what was so before."""
    job_id = field.open(symbols=("AUDITED",), rate_limit=RateLimit(1, SECOND))
    until(lambda: field.states([job_id])[job_id] == "running")
    pause_job(job_id, actor=Actor(name="eva", source="admin"), reason="the provider called")
    until(lambda: field.states([job_id])[job_id] == "paused", within=IN_EFFECT_SECONDS)
    ((actor, source, before, reason),) = field.sql(
        "SELECT actor, source, before->>'desired', reason FROM audit_event"
        " WHERE action = 'job.ask_pause' AND object_id = %s::text",
        str(job_id),
    )
    assert (actor, source, before, reason) == ("eva", "admin", "run", "the provider called")
    ask(cancel_job, [job_id], "cancelled", field)


def test_a_worker_that_is_told_to_stop_parts_from_its_slices(field: Field) -> None:
    """It gives back what it holds and is gone within seconds; no lease has to run out."""
    job_id = field.open(
        symbols=("LEFT",), slice_span=SECOND * 86_400, rate_limit=RateLimit(4, SECOND)
    )
    until(lambda: len(attempts(field, [job_id])) > 0)
    begun = time.monotonic()
    field.stack.stop_processes(["fetch"])
    try:
        assert time.monotonic() - begun < IN_EFFECT_SECONDS
        leased = "SELECT count(*) FROM slice WHERE job_id = %s AND state = 'leased'"
        assert (field.value(leased, job_id), field.value("SELECT count(*) FROM fetch_run")) == (
            0,
            0,
        )
        assert field.value("SELECT count(*) FROM attempt WHERE outcome = 'crashed'") == 0
    finally:
        field.stack.start(["fetch"], prepare=False)
    done = attempts(field, [job_id])
    until(lambda: attempts(field, [job_id]) != done)
    ask(cancel_job, [job_id], "cancelled", field)
