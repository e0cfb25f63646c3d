"""Each failure is written down once, with what it means for the slice, the job and the account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError

from ingestion.domain.errors import JobNotReplayable
from ingestion.domain.retry import GiveUp, PauseAccount, Retry, RetryDecision, retry_class_named
from ingestion.domain.states import JobState
from ingestion.models import RetryClass
from ingestion.services.fail_slices import fail_slice, give_back
from ingestion.services.fetch_slice import BadBatch, Failed, Tally, Yielded
from ingestion.services.retry_failed import retry_failed
from ingestion.services.settle_job import settle_job
from ingestion.services.validate_answer import Refused
from ingestion.store.claim import Claimed
from ingestion.store.series import load_facts
from providers.errors import (
    AuthError,
    ConfigError,
    EntitlementError,
    PayloadError,
    PermanentError,
    ProviderError,
    ThrottledError,
    TransientError,
    UnknownSymbol,
    UnsupportedRequest,
)
from tests.protocol.scene import (
    TESTER,
    Worker,
    attempts_of,
    day,
    failed,
    make_due,
    open_running,
    slice_states,
    sql,
    state_of,
    the_slice,
    truthful,
    value,
)

pytestmark = pytest.mark.django_db

STATE = "state, tries, error_class, lease_token IS NULL"


def error(kind: type[ProviderError], **more: Any) -> ProviderError:
    """Make an error of synthetic's."""
    return kind("it went wrong; look into it", provider="synthetic", **more)


def fail(worker: Worker, answer: Failed) -> RetryDecision | None:
    """Write a failure down."""
    return fail_slice(answer, account_id=worker.account_id, executor_id=worker.id)


def seconds_until_next(slice_id: int) -> float:
    """Return how long a slice waits for its next try."""
    return float(
        value(
            "SELECT extract(epoch FROM next_attempt_at - clock_timestamp()) FROM slice"
            " WHERE id = %s",
            slice_id,
        )
    )


def one_claim(**request: Any) -> tuple[int, Worker, Claimed]:
    """Open a job and claim one slice."""
    job = open_running(**request)
    worker = Worker.of(job)
    return job, worker, worker.claim_one()


@pytest.mark.parametrize("kind", [TransientError, BadBatch])
def test_a_passing_failure_is_tried_again_later(kind: type[ProviderError]) -> None:
    """The slice is ready again after a backoff, one try poorer, with the error on it."""
    job, worker, one = one_claim()
    assert isinstance(fail(worker, failed(one, error(kind, status=503))), Retry)
    assert the_slice(one.slice_id, STATE) == ("ready", 1, kind.__name__, True)
    assert seconds_until_next(one.slice_id) + 0.1 >= 0
    assert seconds_until_next(one.slice_id) <= 1
    assert attempts_of(job) == [("retry", 1, 0, kind.__name__)]
    assert sql("SELECT detail->>'family', detail->>'status', detail->>'error' FROM attempt") == [
        ("transient", "503", "it went wrong; look into it")
    ]


@pytest.mark.parametrize("kind", [PermanentError, PayloadError])
def test_a_permanent_failure_ends_the_slice_alone(kind: type[ProviderError]) -> None:
    """The slice dies at once; its neighbours live on."""
    job, worker, one = one_claim()
    assert isinstance(fail(worker, failed(one, error(kind))), GiveUp)
    assert the_slice(one.slice_id, STATE) == ("dead", 1, kind.__name__, True)
    assert slice_states(job)["dead"] == 1
    assert attempts_of(job) == [("dead", 1, 0, kind.__name__)]


@pytest.mark.parametrize("kind", [UnknownSymbol, UnsupportedRequest])
def test_an_unknown_symbol_buries_its_series_and_no_other(kind: type[ProviderError]) -> None:
    """What no request for the symbol can bring is not asked for again; other symbols go on."""
    job = open_running("AAA", "BBB")
    other = open_running("AAA", start=day("2023-01-01"), end=day("2023-02-01"))
    worker = Worker.of(job)
    one = worker.claim_one()
    fail(worker, failed(one, error(kind)))
    states = sql(
        "SELECT series_id = %s, job_id = %s, array_agg(DISTINCT state), array_agg(DISTINCT"
        " error_class) FROM slice GROUP BY 1, 2 ORDER BY 1, 2",
        one.series_id,
        job,
    )
    assert states == [
        (False, True, ["ready"], [""]),
        (True, False, ["ready"], [""]),
        (True, True, ["dead"], [kind.__name__]),
    ]
    assert other != job
    assert len(attempts_of(job)) == 1


@pytest.mark.parametrize("kind", [AuthError, EntitlementError, ConfigError])
def test_an_account_error_stops_the_account_once(kind: type[ProviderError]) -> None:
    """The circuit opens with one audit event, however many slices meet it; no try is burnt."""
    job = open_running()
    worker = Worker.of(job)
    first, second = worker.claim(2)
    assert isinstance(fail(worker, failed(first, error(kind))), PauseAccount)
    assert isinstance(fail(worker, failed(second, error(kind))), PauseAccount)
    assert sql("SELECT circuit, circuit_reason FROM account") == [
        ("open", "it went wrong; look into it")
    ]
    assert value("SELECT count(*) FROM audit_event WHERE action = 'account.open_circuit'") == 1
    for one in (first, second):
        assert the_slice(one.slice_id, STATE) == ("ready", 0, kind.__name__, True)
    assert worker.claim() == ()
    assert state_of(job) is JobState.RUNNING
    assert {row[0] for row in attempts_of(job)} == {"retry"}


def test_a_throttle_blocks_the_account_as_long_as_the_provider_says() -> None:
    """Retry-After blocks everybody on the account, and is never shortened by a later answer."""
    _, worker, one = one_claim()
    fail(worker, failed(one, error(ThrottledError, retry_after=30.0)))
    blocked = "SELECT extract(epoch FROM blocked_until - clock_timestamp()) FROM account"
    assert 29 < value(blocked) <= 30
    assert 29 < seconds_until_next(one.slice_id) <= 31
    assert worker.claim() == ()
    sql("UPDATE account SET blocked_until = NULL")
    again = worker.claim_one()
    sql("UPDATE account SET blocked_until = clock_timestamp() + interval '60 seconds'")
    fail(worker, failed(again, error(ThrottledError, retry_after=5.0)))
    assert value(blocked) > 55


def test_a_throttle_without_a_time_blocks_for_a_moment() -> None:
    """A 429 that names no time stops the account for a second."""
    _, worker, one = one_claim()
    fail(worker, failed(one, error(ThrottledError)))
    assert value("SELECT extract(epoch FROM blocked_until - clock_timestamp()) FROM account") > 0


def test_one_episode_stretches_the_spacing_once() -> None:
    """Requests already under way when the first 429 came teach nothing new; later ones do."""
    job = open_running()
    worker = Worker.of(job)
    sql(
        "INSERT INTO budget (account_id, endpoint, algorithm, n, window_ms, guard_ms, cost, sends,"
        " stretch, reset_tz, used, reserve_pct)"
        " VALUES (%s, 'bars', 'log', 100, 60000, 160, 1, '{}', 1, 'UTC', 0, 0)",
        worker.account_id,
    )
    claimed = worker.claim(4)
    stretch = "SELECT stretch FROM budget"
    now = value("SELECT clock_timestamp()")
    for one in claimed[:3]:
        fail(worker, failed(one, error(ThrottledError), sent_at=now))
    assert value(stretch) == 2.0
    later = value("SELECT stretched_at + interval '1 second' FROM budget")
    fail(worker, failed(claimed[3], error(ThrottledError), sent_at=later))
    assert value(stretch) == pytest.approx(4.0, rel=0.02)
    assert value("SELECT learned_floor FROM budget") > 1


@pytest.mark.parametrize(("retry_class", "burnt"), [("fast", 1), ("provider_safe", 0)])
def test_a_throttle_burns_a_try_as_the_retry_class_says(retry_class: str, burnt: int) -> None:
    """provider_safe waits for the provider without spending tries."""
    _, worker, one = one_claim(retry_class=retry_class)
    fail(worker, failed(one, error(ThrottledError, retry_after=1.0)))
    assert the_slice(one.slice_id, "tries")[0] == burnt


def test_an_unknown_exception_is_recorded_with_its_trace() -> None:
    """A bug of our own is tried again, and its trace is in the ledger."""
    job, worker, one = one_claim()
    with pytest.raises(ZeroDivisionError) as bug:
        raise ZeroDivisionError("no such bar")
    assert isinstance(fail(worker, failed(one, bug.value)), Retry)
    ((family, trace),) = sql("SELECT detail->>'family', detail->>'trace' FROM attempt")
    assert family == "bug"
    assert "test_an_unknown_exception_is_recorded" in trace
    assert attempts_of(job) == [("retry", 1, 0, "ZeroDivisionError")]


def test_an_error_text_that_postgresql_cannot_hold_is_written_all_the_same() -> None:
    """A NUL in the provider's words neither loses the failure nor keeps the slice leased."""
    _, worker, one = one_claim()
    fail(worker, failed(one, TransientError("bad \x00 \ud800 words", provider="synthetic")))
    assert the_slice(one.slice_id, STATE) == ("ready", 1, "TransientError", True)
    sql("UPDATE slice SET next_attempt_at = clock_timestamp()")
    again = worker.claim_one()
    fail(worker, failed(again, DataError("a\x00b")))
    assert "\x00" not in the_slice(again.slice_id, "error")[0]


def test_refused_rows_of_a_failed_batch_are_kept() -> None:
    """A batch that is too bad to store leaves its rows in the quarantine of that attempt."""
    _, worker, one = one_claim()
    rows = [Refused(ts_us=None, reason="ohlc", raw={"o": n}) for n in range(3)]
    fail(worker, failed(one, error(BadBatch), refused=rows))
    assert value("SELECT count(*) FROM quarantine q JOIN attempt a ON a.id = q.attempt_id") == 3
    assert value("SELECT quarantined FROM attempt") == 3


def test_a_fenced_failure_leaves_no_trace() -> None:
    """Who lost the lease may not judge the slice; only the provider's 429 still counts."""
    job, worker, one = one_claim()
    sql("UPDATE slice SET lease_token = gen_random_uuid() WHERE id = %s", one.slice_id)
    assert fail(worker, failed(one, error(PermanentError))) is None
    assert fail(worker, failed(one, error(ThrottledError, retry_after=9.0))) is None
    assert fail(worker, failed(one, error(AuthError))) is None
    assert the_slice(one.slice_id, "state, tries") == ("leased", 0)
    assert attempts_of(job) == []
    assert value("SELECT circuit FROM account") == "closed"
    assert value("SELECT blocked_until > clock_timestamp() FROM account")


def exhaust(worker: Worker, job: int, *, tries: int) -> Claimed:
    """Let one slice fail until it is out of tries."""
    for n in range(tries):
        (one,) = worker.claim(1)
        assert one.tries == n
        fail(worker, failed(one, error(TransientError)))
        # The same slice comes first again.
        sql("UPDATE slice SET next_attempt_at = '2000-01-01Z' WHERE id = %s", one.slice_id)
    return one


@pytest.mark.parametrize("tries", [1, 3])
def test_a_slice_out_of_tries_is_dead(tries: int) -> None:
    """The job's own number of tries bounds how often a slice is tried."""
    job = open_running(tries=tries)
    one = exhaust(Worker.of(job), job, tries=tries)
    assert the_slice(one.slice_id, "state, tries") == ("dead", tries)
    assert [row[0] for row in attempts_of(job)] == ["retry"] * (tries - 1) + ["dead"]
    assert value("SELECT detail->>'reason' FROM attempt ORDER BY id DESC LIMIT 1") == (
        f"out of tries: {tries} of {tries}"
    )


def test_a_users_own_retry_class_decides() -> None:
    """A class made in the admin is found by its name, with its own families."""
    RetryClass.objects.create(name="stubborn", error_families=["throttled"], tries=7)
    _, worker, one = one_claim(retry_class="stubborn")
    assert isinstance(fail(worker, failed(one, error(TransientError))), GiveUp)


def test_retry_failed_replays_the_dead_and_only_those() -> None:
    """Done slices stay done; the dead are ready with all their tries, and the job runs again."""
    job = open_running(tries=1)
    worker = Worker.of(job)
    bad, *good = worker.claim()
    fail(worker, failed(bad, error(TransientError)))
    worker.finish(*[truthful(one) for one in good])
    assert settle_job(job) is JobState.COMPLETED
    assert sql("SELECT outcome FROM job") == [("partial",)]
    sql("UPDATE account SET circuit = 'open'")
    assert retry_failed(job, actor=TESTER, reason="the provider is back") == 1
    assert value("SELECT count(*) FROM audit_event WHERE action = 'account.close_circuit'") == 1
    assert (state_of(job), value("SELECT outcome FROM job")) == (JobState.RUNNING, None)
    assert slice_states(job) == {"ready": 1, "done": len(good)}
    again = worker.claim_one()
    assert (again.slice_id, again.tries) == (bad.slice_id, 0)
    worker.finish(truthful(again))
    assert settle_job(job) is JobState.COMPLETED
    assert sql("SELECT outcome FROM job") == [("complete",)]
    assert (
        value(
            "SELECT count(*) FROM audit_event WHERE action = 'job.retry_failed'"
            " AND actor = 'tester' AND reason = 'the provider is back'"
        )
        == 1
    )
    with pytest.raises(JobNotReplayable):
        retry_failed(job, actor=TESTER)


def test_a_job_whose_slices_all_died_has_failed() -> None:
    """The job names the error that ended it, and retry_failed lets it run again."""
    job = open_running(tries=1)
    worker = Worker.of(job)
    for one in worker.claim():
        fail(worker, failed(one, error(PermanentError)))
    assert settle_job(job) is JobState.FAILED
    assert sql("SELECT error_class, error FROM job") == [
        ("PermanentError", "it went wrong; look into it")
    ]
    assert retry_failed(job, actor=TESTER) == slice_states(job)["ready"]
    assert sql("SELECT state, error FROM job") == [("running", "")]


def test_a_slice_given_back_is_as_if_never_claimed() -> None:
    """A yield burns no try, keeps the last error, and leaves an attempt only if it cost one."""
    job, worker, one = one_claim()
    fail(worker, failed(one, error(TransientError)))
    make_due(job)
    (again,) = [each for each in worker.claim() if each.slice_id == one.slice_id]
    facts = load_facts([one.series_id])[one.series_id]
    give_back(
        Yielded(again, facts, Tally(), seconds=0.0),
        account_id=worker.account_id,
        executor_id=worker.id,
    )
    assert the_slice(one.slice_id, STATE) == ("ready", 1, "TransientError", True)
    assert len(attempts_of(job)) == 1
    (again,) = [each for each in worker.claim() if each.slice_id == one.slice_id]
    give_back(
        Yielded(again, facts, Tally(requests=2, pages=1), seconds=60.0),
        account_id=worker.account_id,
        executor_id=worker.id,
    )
    assert attempts_of(job)[-1] == ("yielded", 2, 0, "")
    assert 59 < seconds_until_next(one.slice_id) <= 60


def test_backoff_grows_with_the_tries() -> None:
    """The delay is drawn from an interval that doubles with each try, up to the class's cap."""
    job = open_running(tries=12, retry_class="conservative", end=day("2024-01-11"))
    worker = Worker.of(job)
    for n in range(8):
        (one,) = worker.claim(1)
        fail(worker, failed(one, error(TransientError)))
        assert seconds_until_next(one.slice_id) <= min(
            timedelta(minutes=15).total_seconds(), 30 * 2**n
        )
        make_due(job)


def test_a_jobs_own_retry_delay_replaces_the_base_of_its_class() -> None:
    """It doubles with each try as the class does, and the class's cap gives way to a longer one."""
    short = open_running(tries=12, retry_delay=0.5, end=day("2024-01-11"))
    worker = Worker.of(short)
    for n in range(4):
        (one,) = worker.claim(1)
        fail(worker, failed(one, error(TransientError)))
        assert seconds_until_next(one.slice_id) <= 0.5 * 2**n
        make_due(short)
    fast = retry_class_named("fast").adapted(tries=3, delay=600.0)
    assert (fast.ceiling(0), fast.ceiling(5), fast.tries) == (
        timedelta(minutes=10),
        timedelta(minutes=10),
        3,
    )
    assert retry_class_named("fast").adapted(tries=5, delay=None) == retry_class_named("fast")
