"""A retry that comes too late to matter is dropped, and its job says so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ingestion.domain.states import JobState
from ingestion.models import Job
from ingestion.services.fail_slices import fail_slice, give_back
from ingestion.services.fetch_slice import Tally, Yielded
from ingestion.services.retry_failed import retry_failed
from ingestion.services.settle_job import settle_job
from ingestion.store.claim import Claimed
from ingestion.store.series import load_facts
from ingestion.store.slices import drop_stale
from providers.errors import ThrottledError, TransientError
from tests.protocol.scene import (
    TESTER,
    Worker,
    attempts_of,
    failed,
    open_running,
    slice_states,
    sql,
    the_slice,
)

pytestmark = pytest.mark.django_db

STATE = "state, error_class, error"


def stale_job(seconds: float) -> tuple[int, Worker]:
    """Open a job whose retries matter only for so long from now."""
    job = open_running(slice_span=timedelta(days=60))
    stale_in(job, seconds)
    return job, Worker.of(job)


def stale_in(job: int, seconds: float) -> None:
    sql(
        "UPDATE job SET stale_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
        seconds,
        job,
    )


def fail(worker: Worker, one: Claimed, *, retry_after: float) -> None:
    """Let a try fail that may be repeated after so many seconds."""
    error = ThrottledError("slower please", provider="synthetic", retry_after=retry_after)
    fail_slice(failed(one, error), account_id=worker.account_id, executor_id=worker.id)


def yield_(worker: Worker, one: Claimed, *, seconds: float) -> None:
    """Give a slice back because the budgets allow nothing for so long."""
    facts = load_facts([one.series_id])[one.series_id]
    give_back(
        Yielded(one, facts, Tally(), seconds=seconds),
        account_id=worker.account_id,
        executor_id=worker.id,
    )


def test_a_retry_that_would_begin_too_late_dies_at_once_and_keeps_its_error() -> None:
    job, worker = stale_job(30)
    one = worker.claim_one()
    fail(worker, one, retry_after=60)
    state, error_class, error = the_slice(one.slice_id, STATE)
    assert (state, error_class) == ("dead", "StaleRetry")
    assert "too late; ThrottledError: slower please" in error
    assert attempts_of(job)[0][0] == "dead"


def test_a_retry_in_time_is_made() -> None:
    _, worker = stale_job(300)
    one = worker.claim_one()
    fail(worker, one, retry_after=10)
    assert the_slice(one.slice_id, "state") == ("ready",)


def test_a_slice_given_back_for_too_long_is_dropped() -> None:
    _, worker = stale_job(30)
    short, long = worker.claim(2)
    yield_(worker, short, seconds=5)
    yield_(worker, long, seconds=60)
    assert the_slice(short.slice_id, "state, error_class") == ("ready", "")
    assert the_slice(long.slice_id, "state, error_class") == ("dead", "StaleRetry")


def test_a_retry_whose_turn_never_came_is_dropped_by_the_sweep_and_not_claimed() -> None:
    """A slice that was never tried is no retry, however late it begins."""
    job, worker = stale_job(300)
    one = worker.claim_one()
    fail(worker, one, retry_after=0)
    sql("UPDATE slice SET next_attempt_at = now() WHERE id = %s", one.slice_id)
    sql("UPDATE account SET blocked_until = NULL")
    untried = slice_states(job)["ready"] - 1
    stale_in(job, -1)
    assert one.slice_id not in {claimed.slice_id for claimed in worker.claim()}
    assert drop_stale(100) == 1
    assert drop_stale(100) == 0
    assert the_slice(one.slice_id, "state, error_class") == ("dead", "StaleRetry")
    assert "too late; slower please" in the_slice(one.slice_id, "error")[0]
    assert slice_states(job) == {"dead": 1, "leased": untried}


def test_the_job_is_settled_honestly_and_a_person_can_want_it_all_the_same() -> None:
    job, worker = stale_job(30)
    late, *others = worker.claim()
    worker.finish_covered(*others)
    fail(worker, late, retry_after=60)
    assert settle_job(job) is JobState.COMPLETED
    assert Job.objects.get(id=job).outcome == "partial"
    sql("UPDATE account SET blocked_until = NULL")
    stale_in(job, -60)
    assert retry_failed(job, actor=TESTER) == 1
    assert drop_stale(100) == 0
    assert [one.slice_id for one in worker.claim()] == [late.slice_id]


def test_without_a_limit_nothing_is_stale() -> None:
    job = open_running(slice_span=timedelta(days=60))
    worker = Worker.of(job)
    one = worker.claim_one()
    fail_slice(
        failed(one, TransientError("try again", provider="synthetic")),
        account_id=worker.account_id,
        executor_id=worker.id,
    )
    assert drop_stale(100) == 0
    assert the_slice(one.slice_id, "state") == ("ready",)
