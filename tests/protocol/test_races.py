"""Two connections at once: whoever comes second sees what the first has done."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta

import pytest

from ingestion.domain.coverage import Ranges
from ingestion.domain.states import JobKind, JobState
from ingestion.domain.windows import Window
from ingestion.services.cancel_job import cancel_job
from ingestion.services.open_job import OpenedJob, open_job
from ingestion.services.pause_job import pause_job
from ingestion.services.plan_job import plan_job
from ingestion.services.reap_leases import reap_leases
from ingestion.services.reset_state import reset_state
from ingestion.services.settle_job import settle_job
from ingestion.services.tick import tick
from ingestion.store.claim import Claimed, take_permit
from ingestion.store.coverage import read_known
from tests.protocol.scene import (
    NOW,
    TESTER,
    Worker,
    ask,
    attempts_of,
    day,
    expire_leases,
    fetched,
    open_queued,
    open_running,
    slice_states,
    sql,
    state_of,
    truth,
    truthful,
    value,
)
from tests.protocol.together import together


@pytest.fixture(autouse=True)
def db(committing: None) -> None:
    """Commit for real; by this name pytest-django learns that the test database is needed."""


def assert_each_once(claimed: list[tuple[Claimed, ...]]) -> None:
    """Check that no slice and no window was handed out twice."""
    every = [one for claim in claimed for one in claim]
    assert len({one.slice_id for one in every}) == len(every)
    by_start = sorted(every, key=lambda one: (one.series_id, one.start))
    for left, right in itertools.pairwise(by_start):
        assert left.series_id != right.series_id or left.end <= right.start


def test_two_claims_never_share_a_slice() -> None:
    """Four workers that claim at once, again and again, get every slice exactly once."""
    job = open_running("AAA", "BBB", start=day("2022-01-01"))
    overlapping = open_running("AAA", start=day("2023-01-01"))
    everything = slice_states(job)["ready"]
    workers = [Worker.of(job) for _ in range(4)]

    def claim_often(worker: Worker) -> Callable[[], tuple[Claimed, ...]]:
        return lambda: tuple(one for _ in range(8) for one in worker.claim(7))

    claimed = together(*[claim_often(worker) for worker in workers])
    assert_each_once(claimed)
    leased = [one for claim in claimed for one in claim]
    assert len([one for one in leased if one.job_id == job]) <= everything
    assert value("SELECT count(*) FROM slice WHERE state = 'leased'") == len(leased)
    # Never more than its bound, though four ask at once.
    for one in (job, overlapping):
        assert slice_states(one).get("leased", 0) <= 100


def test_concurrency_holds_against_claims_at_once() -> None:
    """Four simultaneous claims lease no more than the job's max_concurrency."""
    job = open_running(max_concurrency=3)
    claimed = together(*[lambda: Worker.of(job).claim(2)] * 4)
    assert sum(map(len, claimed)) == 3


def test_permits_taken_at_once_have_times_of_their_own() -> None:
    """Simultaneous permits under a limit of one per 100 ms are granted 100 ms apart."""
    job = open_running()
    account = Worker.of(job).account_id
    sql(
        "INSERT INTO budget (account_id, endpoint, algorithm, n, window_ms, guard_ms, cost, sends,"
        " stretch, reset_tz, used, reserve_pct)"
        " VALUES (%s, 'bars', 'log', 8, 400, 0, 1, '{}', 1, 'UTC', 0, 0)",
        account,
    )
    answers = together(*[lambda: take_permit(account_id=account, job_id=job)] * 6)
    assert all(granted for _, granted in answers)
    sends = value("SELECT sends FROM budget")
    assert len(set(sends)) == 6
    assert all(
        later - earlier >= timedelta(milliseconds=50)
        for earlier, later in itertools.pairwise(sends)
    )


@pytest.mark.parametrize("_", range(3))
def test_finish_and_reap_agree_on_one_of_them(_: int) -> None:
    """An expired lease is either finished or reaped: never both, and nothing is half written."""
    job = open_running(start=day("2024-01-02"), end=day("2024-01-11"), slice_span=None)
    worker = Worker.of(job)
    answer = truthful(worker.claim_one())
    expire_leases(job)
    report, reaped = together(lambda: worker.finish(answer), reap_leases)
    assert report.slices + reaped == 1
    outcomes = [row[0] for row in attempts_of(job)]
    bars = value("SELECT count(*) FROM bar")
    if reaped:
        assert (slice_states(job), outcomes, bars) == ({"ready": 1}, ["crashed"], 0)
    else:
        assert (slice_states(job), outcomes, bars) == ({"done": 1}, ["done"], 7)


@pytest.mark.parametrize("act", [pause_job, cancel_job])
def test_a_stop_while_slices_finish(act: Callable[..., JobState]) -> None:
    """Pause and cancel meet finishes and claims: afterwards no lease is left, nothing is lost."""
    job = open_running()
    worker, other = Worker.of(job), Worker.of(job)
    answers = [truthful(one) for one in worker.claim(5)]
    _, _, late = together(
        lambda: act(job, actor=TESTER), lambda: worker.finish(*answers), lambda: other.claim(3)
    )
    if late:
        other.finish(*[truthful(one) for one in late])
    assert other.claim() == ()
    state = settle_job(job)
    assert state is (JobState.PAUSED if act is pause_job else JobState.CANCELLED)
    states = slice_states(job)
    assert "leased" not in states
    assert states["done"] == len(answers) + len(late)


def test_a_pause_takes_the_lease_of_a_hung_request_from_it() -> None:
    """Settling beside a late finish: either the finish counts or the lease is gone, not both."""
    job = open_running(start=day("2024-01-02"), end=day("2024-02-01"))
    worker = Worker.of(job)
    one = worker.claim_one()
    assert pause_job(job, actor=TESTER) is JobState.RUNNING
    sql("UPDATE job SET desired_at = desired_at - interval '10 seconds' WHERE id = %s", job)
    _, report = together(lambda: settle_job(job), lambda: worker.finish(truthful(one)))
    assert settle_job(job) is JobState.PAUSED
    states = slice_states(job)
    assert "leased" not in states
    assert states.get("done", 0) == report.slices
    assert (value("SELECT count(*) FROM bar") > 0) is (report.slices == 1)


def test_two_plans_of_one_job_make_each_slice_once() -> None:
    """Two planners at once take turns; the plan is what one of them would have made."""
    alone = open_running("ZZZ", start=day("2019-01-01"))
    job = open_queued("AAA", start=day("2019-01-01"))
    assert together(*[lambda: plan_job(job)] * 3) == [True] * 3
    windows = 'SELECT "window"::text FROM slice WHERE job_id = %s ORDER BY "window"'
    assert sql(windows, job) == sql(windows, alone)
    events = "SELECT count(*) FROM audit_event WHERE object_id = %s AND action = 'job.running'"
    assert value(events, str(job)) == 1


def test_two_writers_of_one_series_leave_what_one_would_have_left() -> None:
    """Reconciliations of the same window that finish at once store each bar once."""
    span = {"start": day("2024-01-02"), "end": day("2024-02-01"), "slice_span": None}
    jobs = [open_running(kind=JobKind.RECONCILE, **span) for _ in range(2)]
    worker = Worker.of(jobs[0])
    (first,) = worker.claim()
    # The claim would keep the second one back; a lease from before a crash would not.
    sql("UPDATE slice SET state = 'done', lease_token = NULL, lease_until = NULL WHERE id = %s",
        first.slice_id)  # fmt: skip
    (second,) = worker.claim()
    sql(
        "UPDATE slice SET state = 'leased', lease_token = %s,"
        " lease_until = clock_timestamp() + interval '1 minute' WHERE id = %s",
        first.token,
        first.slice_id,
    )
    bars = truth(first)
    reports = together(
        lambda: worker.finish(fetched(first, bars)), lambda: worker.finish(fetched(second, bars))
    )
    assert sorted(report.inserted for report in reports) == [0, len(bars)]
    assert sorted(report.unchanged for report in reports) == [0, len(bars)]
    assert value("SELECT count(*) FROM bar") == len(bars)
    assert value("SELECT count(*) FROM coverage") == 1


@pytest.mark.parametrize("_", range(4))
def test_two_finishes_leave_the_checkpoint_behind_both(_: int) -> None:
    """The last two slices of a job end at once, one of them without a request."""
    job = open_running(start=day("2024-01-02"), end=day("2024-01-20"), kind=JobKind.RECONCILE)
    worker = Worker.of(job)
    first, *rest = sorted(worker.claim(), key=lambda one: one.start)
    together(lambda: worker.finish(truthful(first)), lambda: worker.finish_covered(*rest))
    assert value("SELECT frontier FROM checkpoint WHERE job_id = %s", job) == rest[-1].end


def test_one_request_key_opens_one_job() -> None:
    """Of simultaneous requests under one key one opens the job, the others are told of it."""
    request = ask("AAA", request_key="nightly-2024-06-03")
    opened: list[OpenedJob] = together(*[lambda: open_job(request, now=NOW, actor=TESTER)] * 4)
    assert len({one.job_id for one in opened}) == 1
    assert sorted(one.existed for one in opened) == [False, True, True, True]
    assert value("SELECT count(*) FROM job") == 1
    assert value("SELECT count(*) FROM audit_event WHERE action = 'job.open'") == 1


@pytest.mark.parametrize("_", range(3))
def test_new_symbols_are_made_once_by_simultaneous_jobs(_: int) -> None:
    """Jobs that name the same new symbols in other orders neither collide nor deadlock."""
    names = [f"S{n:02}" for n in range(12)]
    orders = [names, names[::-1], names[6:] + names[:6]]
    opened = together(
        *[
            lambda symbols=symbols: open_job(ask(*symbols), now=NOW, actor=TESTER)
            for symbols in orders
        ]
    )
    assert len({one.job_id for one in opened}) == 3
    assert value("SELECT count(*) FROM instrument") == 12
    assert value("SELECT count(*) FROM series") == 12
    assert value("SELECT count(*) FROM provider_symbol") == 12
    assert value("SELECT count(*) FROM account") == 1


def test_an_instrument_gets_its_name_at_a_provider_once() -> None:
    """Jobs at a second provider that begin at once share the new name of a known instrument."""
    open_queued("AAA")
    requests = [ask("AAA", provider="yahoo", slice_span=None)] * 3
    together(*[lambda one=one: open_job(one, now=NOW, actor=TESTER) for one in requests])
    assert sql("SELECT provider, vendor_symbol FROM provider_symbol ORDER BY 1") == [
        ("synthetic", "AAA"),
        ("yahoo", "AAA"),
    ]
    account = "SELECT id FROM account WHERE provider = 'yahoo'"
    declared = value(f"SELECT count(*) FROM budget WHERE account_id = ({account})")
    assert declared == value(
        f"SELECT count(DISTINCT (n, window_ms)) FROM budget WHERE account_id = ({account})"
    )


def test_ticks_at_once_do_each_thing_once() -> None:
    """Two ticks reap each lease once and settle each job once."""
    done = open_running("AAA", start=day("2024-01-02"), end=day("2024-01-05"))
    worker = Worker.of(done)
    worker.finish(truthful(worker.claim_one()))
    late = open_running("BBB")
    Worker.of(late).claim(5)
    expire_leases(late)
    reports = together(*[lambda: tick(now=NOW, processes=2)] * 3)
    assert sum(report.reaped for report in reports) == 5
    assert state_of(done) is JobState.COMPLETED
    assert len(attempts_of(late)) == 5
    events = "SELECT count(*) FROM audit_event WHERE object_id = %s AND action = 'job.completed'"
    assert value(events, str(done)) == 1


@pytest.mark.parametrize("_", range(3))
def test_a_reset_among_finishes_leaves_no_doubt_about_what_came_after_it(_: int) -> None:
    """Each window is loaded or doubted, never both: whoever comes second sees the other's work."""
    job = open_running(start=day("2024-01-01"), end=day("2024-02-05"))
    worker = Worker.of(job)
    first, second, *_rest = sorted(worker.claim(), key=lambda one: one.start)
    worker.finish(truthful(first))
    together(
        lambda: worker.finish(truthful(second)),
        lambda: reset_state(series_ids=[first.series_id], actor=TESTER),
    )
    known = read_known([first.series_id])[first.series_id]
    assert len(known.loaded.intersect(known.doubted)) == 0
    both = Ranges.of_windows([Window(first.start, first.end), Window(second.start, second.end)])
    assert known.loaded.union(known.doubted) == both
    assert known.doubted.intersect(Ranges.of_windows([Window(first.start, first.end)]))
