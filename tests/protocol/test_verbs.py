"""Start, pause, resume, cancel and retry: what each state offers, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ingestion.domain.errors import JobNotReplayable, UnknownJob
from ingestion.domain.states import ForbiddenTransition, JobState
from ingestion.services.cancel_job import cancel_job
from ingestion.services.open_job import open_job
from ingestion.services.pause_job import pause_job
from ingestion.services.plan_job import plan_job
from ingestion.services.resume_job import resume_job
from ingestion.services.retry_failed import retry_failed
from ingestion.services.settle_job import settle_job
from ingestion.services.start_job import start_job
from tests.protocol.scene import (
    NOW,
    TESTER,
    Worker,
    ask,
    open_queued,
    open_running,
    slice_states,
    sql,
    state_of,
    truthful,
    value,
    withholding,
)

pytestmark = pytest.mark.django_db

Verb = Callable[..., Any]
S = JobState


def job_in(state: JobState) -> int:
    """Bring a job into a state by the verbs that lead there."""
    if state is S.DRAFT:
        return open_job(ask(), now=NOW, actor=TESTER, draft=True).job_id
    if state is S.QUEUED:
        return open_queued()
    job = open_running()
    match state:
        case S.PAUSED:
            pause_job(job, actor=TESTER)
        case S.CANCELLED:
            cancel_job(job, actor=TESTER)
        case S.COMPLETED:
            Worker.of(job).work_off()
        case S.FAILED:
            sql("UPDATE slice SET state = 'dead', error_class = 'X' WHERE job_id = %s", job)
    settle_job(job)
    assert state_of(job) is state
    return job


REFUSED = (ForbiddenTransition, JobNotReplayable)
OFFERED: dict[Verb, dict[JobState, JobState]] = {
    start_job: {S.DRAFT: S.QUEUED},
    pause_job: {S.QUEUED: S.PAUSED, S.RUNNING: S.PAUSED, S.PAUSED: S.PAUSED},
    resume_job: {S.QUEUED: S.QUEUED, S.RUNNING: S.RUNNING, S.PAUSED: S.RUNNING},
    cancel_job: {
        S.DRAFT: S.CANCELLED,
        S.QUEUED: S.CANCELLED,
        S.RUNNING: S.CANCELLED,
        S.PAUSED: S.CANCELLED,
    },
    retry_failed: {S.FAILED: S.RUNNING},
}


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("verb", list(OFFERED), ids=lambda verb: verb.__name__)
def test_each_state_offers_its_verbs_and_refuses_the_rest(verb: Verb, state: JobState) -> None:
    """A verb leads where the table says; elsewhere it is refused and writes nothing."""
    job = job_in(state)
    events = value("SELECT count(*) FROM audit_event")
    after = OFFERED[verb].get(state)
    if after is None:
        with pytest.raises(REFUSED):
            verb(job, actor=TESTER)
        assert value("SELECT count(*) FROM audit_event") == events
        after = state
    else:
        verb(job, actor=TESTER, reason="because")
    assert state_of(job) is after


@pytest.mark.parametrize("verb", list(OFFERED), ids=lambda verb: verb.__name__)
def test_an_unknown_job_is_named(verb: Verb) -> None:
    """Every verb says that there is no such job."""
    with pytest.raises(UnknownJob):
        verb(987_654, actor=TESTER)


def test_a_request_shows_at_once_and_takes_effect_when_no_lease_is_left() -> None:
    """`desired` changes with the verb, the state only at the batch boundary."""
    job = open_running()
    worker = Worker.of(job)
    one = worker.claim_one()
    assert pause_job(job, actor=TESTER, reason="lunch") is S.RUNNING
    assert value("SELECT desired FROM job") == "pause"
    assert settle_job(job) is S.RUNNING
    worker.finish(truthful(one))
    assert settle_job(job) is S.PAUSED
    assert sql(
        "SELECT action, actor, reason FROM audit_event WHERE action ~ 'pause' ORDER BY id"
    ) == [("job.ask_pause", "tester", "lunch"), ("job.paused", "mdc", "")]


def test_resuming_goes_on_from_the_checkpoint() -> None:
    """Done slices stay done; the rest is due at once, and no bar is fetched twice."""
    job = open_running()
    worker = Worker.of(job)
    done = worker.claim(3)
    worker.finish(*[truthful(one) for one in done])
    sql("UPDATE slice SET next_attempt_at = clock_timestamp() + interval '1 h' WHERE state='ready'")
    pause_job(job, actor=TESTER)
    assert resume_job(job, actor=TESTER) is S.RUNNING
    assert worker.work_off() == slice_states(job)["done"] - 3
    assert value("SELECT sum(inserted) FROM attempt") == value("SELECT count(*) FROM bar")
    assert settle_job(job) is S.COMPLETED


def test_resuming_closes_the_circuit_with_an_event() -> None:
    """A person who resumes has seen to the account."""
    job = open_running()
    sql("UPDATE account SET circuit = 'open'")
    resume_job(job, actor=TESTER)
    assert value("SELECT circuit FROM account") == "closed"
    assert value("SELECT count(*) FROM audit_event WHERE action = 'account.close_circuit'") == 1


def test_a_cancelled_job_keeps_what_it_has_and_drops_the_rest() -> None:
    """Stored bars and done slices stay, open slices are cancelled."""
    job = open_running()
    worker = Worker.of(job)
    worker.finish(truthful(worker.claim_one()))
    assert cancel_job(job, actor=TESTER) is S.CANCELLED
    assert slice_states(job).keys() == {"done", "cancelled"}
    assert value("SELECT count(*) FROM bar") > 0
    assert value("SELECT ended_at IS NOT NULL FROM job") is True


def test_a_pause_may_be_taken_back_before_it_took_effect() -> None:
    """Resuming while the last lease is still out leaves the job running."""
    job = open_running()
    worker = Worker.of(job)
    one = worker.claim_one()
    pause_job(job, actor=TESTER)
    assert resume_job(job, actor=TESTER) is S.RUNNING
    worker.finish(truthful(one))
    assert settle_job(job) is S.RUNNING


@pytest.mark.parametrize("verb", [pause_job, cancel_job])
def test_finished_work_wins_over_a_late_stop(verb: Verb) -> None:
    """If the last slices finish before the stop takes effect, the job is completed."""
    job = open_running()
    worker = Worker.of(job)
    answers = [truthful(one) for one in worker.claim()]
    verb(job, actor=TESTER)
    worker.finish(*answers)
    assert settle_job(job) is S.COMPLETED


def test_a_job_with_missing_sessions_is_partial() -> None:
    """A session that nobody could deliver makes the outcome partial, until it is explained."""
    job = open_running()
    Worker.of(job).work_off(withholding("2024-02-14"))
    assert settle_job(job) is S.COMPLETED
    assert value("SELECT outcome FROM job") == "partial"


@pytest.mark.parametrize("state", [S.COMPLETED, S.FAILED, S.CANCELLED, S.DRAFT])
def test_settling_an_ended_job_changes_nothing(state: JobState) -> None:
    """The last word is said once; a draft waits for its start."""
    job = job_in(state)
    events = value("SELECT count(*) FROM audit_event")
    assert settle_job(job) is state
    assert value("SELECT count(*) FROM audit_event") == events


def test_a_plan_that_goes_on_keeps_the_job_open() -> None:
    """A job whose slices are all done but whose plan is not is still running."""
    job = open_queued()
    plan_job(job)
    Worker.of(job).work_off()
    sql("UPDATE job SET planned = false")
    assert settle_job(job) is S.RUNNING
