"""The tick says who is to be fetched for, fairly, and why the others wait."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from ingestion.services.cancel_job import cancel_job
from ingestion.services.pause_job import pause_job
from ingestion.services.tick import fetch_hints, tick
from ingestion.store.leases import heartbeat, open_run, register_executor
from providers.base import RateLimit
from tests.protocol.scene import (
    NOW,
    TESTER,
    Worker,
    account_of,
    open_queued,
    open_running,
    sql,
    state_of,
    truthful,
    value,
)

pytestmark = pytest.mark.django_db


def run_for(account_id: int) -> None:
    """Let a worker run on an account."""
    worker = Worker(account_id)
    register_executor(executor_id=worker.id, host="here", pid=1)
    assert open_run(executor_id=worker.id, account_id=account_id, share=1)


def why(job_id: int) -> str:
    """Let the tick explain and return what it says of a job."""
    tick(now=NOW, processes=2)
    return str(value("SELECT wait_reason FROM job WHERE id = %s", job_id))


def test_one_busy_account_gets_every_process() -> None:
    """Where nobody else wants work, all processes are asked for."""
    account = account_of(open_running())
    assert fetch_hints(processes=4) == [(account, 4)]
    run_for(account)
    assert fetch_hints(processes=4) == [(account, 3)]


def test_of_two_accounts_neither_takes_all_processes() -> None:
    """A sick provider cannot starve the rest: one process is always left for the others."""
    first = account_of(open_running("AAA"))
    second = account_of(open_running("AAA", provider="yahoo", slice_span=timedelta(days=1)))
    assert fetch_hints(processes=4) == [(first, 3), (second, 3)]
    assert fetch_hints(processes=1) == [(first, 1), (second, 1)]
    for _ in range(3):
        run_for(first)
    assert fetch_hints(processes=4) == [(second, 3)]


def test_the_account_with_the_most_urgent_work_is_called_for_first() -> None:
    first = account_of(open_running("AAA"))
    urgent = account_of(open_running("AAA", provider="yahoo", priority=199))
    assert [account for account, _ in fetch_hints(processes=4)] == [urgent, first]


@pytest.mark.parametrize(("priority", "leaves"), [(199, True), (100, False)])
def test_a_run_makes_room_for_more_urgent_work_of_an_account_without_any(
    priority: int, leaves: bool
) -> None:
    """Two backfills hold both processes: each goes on for what is no more urgent than itself."""
    first = account_of(open_running("AAA"))
    second = account_of(open_running("AAA", provider="yahoo"))
    open_running("AAA", provider="polygon", priority=priority)
    for account in (first, second):
        run_for(account)
    for run, executor, account in sql("SELECT id, executor_id, account_id FROM fetch_run"):
        orders = heartbeat(
            executor_id=executor, run_id=run, account_id=account, processes=2, tokens=[]
        )
        assert orders.others_starve is leaves


def test_a_single_due_slice_needs_a_single_process() -> None:
    """No more hands are called than there is work for."""
    account = account_of(open_running(slice_span=None))
    assert fetch_hints(processes=4) == [(account, 1)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE account SET enabled = false",
        "UPDATE account SET circuit = 'open'",
        "UPDATE account SET blocked_until = clock_timestamp() + interval '1 minute'",
        "UPDATE account SET paced_until = clock_timestamp() + interval '1 minute'",
        "UPDATE slice SET next_attempt_at = clock_timestamp() + interval '1 minute'",
        "UPDATE job SET desired = 'pause'",
        "UPDATE job SET state = 'paused'",
    ],
)
def test_nobody_is_called_for_work_that_cannot_be_done(change: str) -> None:
    """Stopped, blocked and paced accounts, and slices in backoff, get no hint."""
    open_running()
    sql(change)
    assert fetch_hints(processes=4) == []


def test_the_tick_settles_what_has_ended() -> None:
    """Finished jobs complete; requests that hang longer than 5 s hold no pause or cancel up."""
    done, paused, cancelled = (open_running(name) for name in ("AAA", "BBB", "CCC"))
    worker = Worker.of(done)
    claimed = worker.claim()
    pause_job(paused, actor=TESTER)
    cancel_job(cancelled, actor=TESTER)
    worker.finish(*[truthful(one) for one in claimed if one.job_id == done])
    tick(now=NOW, processes=2)
    assert [state_of(job) for job in (done, paused, cancelled)] == [
        "completed",
        "running",
        "running",
    ]
    sql("UPDATE job SET desired_at = desired_at - interval '6 seconds'")
    assert tick(now=NOW, processes=2).settled == 2
    assert [state_of(job) for job in (paused, cancelled)] == ["paused", "cancelled"]
    assert value("SELECT count(*) FROM slice WHERE state = 'leased'") == 0
    late = [truthful(one) for one in claimed if one.job_id != done]
    assert worker.finish(*late).fenced == len(late)
    assert value("SELECT count(*) FROM attempt WHERE error_class = 'LeaseReleased'") == len(late)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE account SET circuit = 'open', circuit_reason = 'no key'", "circuit open: no key"),
        ("UPDATE account SET enabled = false", "account at synthetic is disabled"),
        (
            "UPDATE account SET blocked_until = clock_timestamp() + interval '1 minute'",
            "throttled by synthetic",
        ),
        ("UPDATE slice SET next_attempt_at = clock_timestamp() + interval '1 minute'", "retry"),
        ("UPDATE slice SET next_attempt_at = clock_timestamp() - interval '1 minute'", "no worker"),
        (
            "UPDATE account SET paced_until = clock_timestamp() + interval '1 minute'",
            "rate limit of synthetic",
        ),
    ],
)
def test_a_job_that_waits_says_why(change: str, reason: str) -> None:
    """The reason stands on the job, and goes away with its cause."""
    job = open_running()
    if reason != "no worker":
        register_executor(executor_id=uuid4(), host="here", pid=1)
    sql(change)
    assert why(job) == reason
    if "clock_timestamp() +" in change:
        assert value("SELECT wait_until > clock_timestamp() + interval '50 s' FROM job")
    sql(
        "UPDATE account SET circuit = 'closed', enabled = true, blocked_until = NULL,"
        " paced_until = NULL"
    )
    sql("UPDATE slice SET next_attempt_at = clock_timestamp()")
    assert why(job) == ""
    assert value("SELECT wait_until FROM job") is None


def test_a_queued_job_waits_to_be_planned() -> None:
    """So does a job with a limit of its own say that it is the cause."""
    assert why(open_queued()) == "waiting to be planned"
    assert why(open_running("BBB", rate_limit=RateLimit(1, timedelta(hours=1)))) == (
        "rate limit of the job"
    )


def test_a_job_at_work_waits_for_nothing() -> None:
    """While a slice is leased there is no reason to show."""
    job = open_running()
    Worker.of(job).claim(1)
    sql("UPDATE account SET blocked_until = clock_timestamp() + interval '1 minute'")
    assert why(job) == ""
