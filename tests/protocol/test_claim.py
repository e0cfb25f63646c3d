"""Claims: who comes first, who must wait, and that no window is ever fetched twice."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest

from ingestion.domain.states import JobKind
from ingestion.domain.windows import from_us
from ingestion.store.claim import Claimed, claim, take_permit
from providers.base import RateLimit
from tests.protocol.scene import (
    Worker,
    account_of,
    attempts_of,
    day,
    open_queued,
    open_running,
    slice_states,
    sql,
    the_slice,
    truthful,
    value,
)

pytestmark = pytest.mark.django_db


def jobs(claimed: Sequence[Claimed]) -> list[int]:
    """Return the job of each claimed slice."""
    return [one.job_id for one in claimed]


def add_budget(
    *, account: int | None = None, job: int | None = None, n: int = 5, seconds: int = 60
) -> int:
    """Give an account or a job a limit and return the budget's id."""
    return int(
        value(
            "INSERT INTO budget (account_id, job_id, endpoint, algorithm, n, window_ms, guard_ms,"
            " cost, sends, stretch, reset_tz, used, reserve_pct)"
            " VALUES (%s, %s, 'bars', 'log', %s, %s, 160, 1, '{}', 1, 'UTC', 0, 0) RETURNING id",
            account,
            job,
            n,
            seconds * 1000,
        )
    )


def sends(budget_id: int) -> list[object]:
    """Return the send times a budget remembers."""
    return list(value("SELECT sends FROM budget WHERE id = %s", budget_id))


def test_a_claim_leases_slices_under_tokens_of_their_own() -> None:
    """Each claimed slice is leased to the executor for 15 s, with a token that no other has."""
    job = open_running("AAA", "BBB")
    worker = Worker.of(job)
    claimed = worker.claim(5)
    assert len({one.token for one in claimed}) == len(claimed) == 5
    rows = sql(
        "SELECT lease_token, executor_id, lease_until - leased_at FROM slice"
        " WHERE state = 'leased' ORDER BY id"
    )
    assert {row[0] for row in rows} == {one.token for one in claimed}
    assert {row[1] for row in rows} == {worker.id}
    assert all(timedelta(seconds=14) < row[2] <= timedelta(seconds=16) for row in rows)


def test_higher_priority_comes_first() -> None:
    """A job of higher priority is served before all others, whatever was opened first."""
    low = open_running("AAA", priority=50)
    high = open_running("BBB", priority=150)
    middle = open_running("CCC", priority=100)
    per_job = slice_states(low)["ready"]
    assert jobs(Worker.of(low).claim(3 * per_job)) == (
        [high] * per_job + [middle] * per_job + [low] * per_job
    )


def test_weights_share_an_account_by_virtual_time() -> None:
    """A job of weight 3 gets three slices for each slice of a job of weight 1."""
    light = open_running("AAA", start=day("2020-01-01"), slices_per_round=1)
    heavy = open_running("BBB", start=day("2020-01-01"), slices_per_round=1)
    sql("UPDATE job SET weight = 3 WHERE id = %s", heavy)
    worker = Worker.of(light)
    served = Counter(worker.claim_one().job_id for _ in range(40))
    assert served[heavy] == pytest.approx(30, abs=1)
    assert served[light] == pytest.approx(10, abs=1)


def test_a_new_job_starts_at_the_smallest_virtual_time() -> None:
    """A job that starts later neither catches up on the past nor waits for it."""
    old = open_running("AAA", start=day("2020-01-01"), slices_per_round=1)
    worker = Worker.of(old)
    for _ in range(20):
        worker.claim_one()
    young = open_running("BBB", start=day("2020-01-01"), slices_per_round=1)
    served = Counter(worker.claim_one().job_id for _ in range(20))
    assert served[young] == pytest.approx(10, abs=1)
    assert served[old] == pytest.approx(10, abs=1)


def test_no_job_holds_more_slices_than_its_concurrency() -> None:
    """max_concurrency bounds the leases of a job over all its claims and executors."""
    job = open_running(max_concurrency=3)
    first, second = Worker.of(job), Worker.of(job)
    assert len(first.claim(2)) == 2
    (third,) = second.claim(5)
    assert first.claim(5) == second.claim(5) == ()
    second.finish(truthful(third))
    assert len(first.claim(5)) == 1


def test_one_round_gives_a_job_no_more_than_its_share() -> None:
    """max_slices_per_round bounds what one claim gives to one job; others get the rest."""
    first = open_running("AAA", slices_per_round=2)
    second = open_running("BBB", slices_per_round=2)
    assert Counter(jobs(Worker.of(first).claim(10))) == {first: 2, second: 2}


def test_a_job_wholly_in_backoff_hides_nobody() -> None:
    """Slices that wait for their next try leave the account to other jobs."""
    waiting = open_running("AAA", priority=200)
    sql(
        "UPDATE slice SET next_attempt_at = clock_timestamp() + interval '1 hour'"
        " WHERE job_id = %s",
        waiting,
    )
    ready = open_running("BBB")
    assert set(jobs(Worker.of(ready).claim(100))) == {ready}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE account SET enabled = false",
        "UPDATE account SET circuit = 'open', circuit_reason = 'no key'",
        "UPDATE account SET blocked_until = clock_timestamp() + interval '1 minute'",
        "UPDATE job SET desired = 'pause'",
        "UPDATE job SET desired = 'cancel'",
        "UPDATE job SET state = 'paused'",
    ],
)
def test_nothing_is_given_where_nothing_may_run(change: str) -> None:
    """A disabled, stopped or blocked account gives nothing, nor does a job that shall not run."""
    job = open_running()
    worker = Worker.of(job)
    sql(change)
    assert worker.claim() == ()
    assert slice_states(job).keys() == {"ready"}


def test_a_blocked_account_says_when_to_ask_again() -> None:
    """The wait of a claim is what is left of the block."""
    job = open_running()
    sql("UPDATE account SET blocked_until = clock_timestamp() + interval '30 seconds'")
    worker = Worker.of(job)
    answer = claim(account_id=worker.account_id, executor_id=worker.id, k=1, idle=True)
    assert 29 < answer.wait <= 30


def test_an_account_without_due_slices_gives_nothing() -> None:
    """Queued and planned-out jobs have nothing to claim."""
    job = open_queued()
    assert Worker.of(job).claim() == ()


def test_a_pending_window_is_never_leased_twice() -> None:
    """While one job fetches a window, an overlapping slice of another job is left alone."""
    first = open_running("AAA", end=day("2024-02-01"))
    second = open_running("AAA", end=day("2024-02-01"))
    claimed = Worker.of(first).claim()
    assert set(jobs(claimed)) == {first}
    assert Worker.of(second).claim() == ()


def test_one_claim_takes_each_window_once() -> None:
    """Overlapping slices of several jobs do not come out of one claim together."""
    ids = [open_running("AAA", end=day("2024-02-01"), slices_per_round=3) for _ in range(3)]
    claimed = Worker.of(ids[0]).claim(9)
    windows = sorted((one.start, one.end) for one in claimed)
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(windows))


def test_the_second_of_two_overlapping_jobs_makes_no_request() -> None:
    """What another job has covered meanwhile is skipped: done, recorded, and without a request."""
    first = open_running("AAA")
    second = open_running("AAA")
    claimed = Worker.of(first).claim(100)
    Worker.of(first).finish(*[truthful(one) for one in claimed])
    worker = Worker.of(second)
    leftovers = worker.claim()
    assert leftovers
    assert all(one.covered for one in leftovers)
    assert worker.finish_covered(*leftovers) == len(leftovers)
    assert slice_states(second) == {"done": len(leftovers)}
    assert set(attempts_of(second)) == {("skipped", 0, 0, "")}


def test_only_what_is_still_wanted_is_asked() -> None:
    """A slice of which the ends are covered is claimed for its middle alone."""
    wide = open_running("AAA", start=day("2024-01-02"), end=day("2024-01-31"), slice_span=None)
    for start, end in (("2024-01-02", "2024-01-04"), ("2024-01-25", "2024-01-31")):
        small = open_running("AAA", start=day(start), end=day(end), slice_span=None, priority=200)
        worker = Worker.of(small)
        (one,) = worker.claim(1)
        assert one.job_id == small
        worker.finish(truthful(one))
    (one,) = Worker.of(wide).claim(1)
    assert one.job_id == wide
    assert (one.start, one.end) == (day("2024-01-04"), day("2024-01-25"))


def test_a_reconciliation_asks_for_what_is_covered() -> None:
    """A reconciliation refetches whole slices, covered or not."""
    job = open_running("AAA")
    Worker.of(job).work_off()
    again = open_running("AAA", kind=JobKind.RECONCILE)
    claimed = Worker.of(again).claim()
    assert claimed
    assert all(one.refetch and not one.covered for one in claimed)


def test_a_suspect_is_claimed_alone_and_by_the_idle() -> None:
    """A slice that may kill its worker shares no process with others: it waits for an idle one."""
    job = open_running()
    (suspect,) = sql("SELECT id FROM slice ORDER BY id LIMIT 1")[0]
    sql("UPDATE slice SET suspect = true WHERE id = %s", suspect)
    worker = Worker.of(job)
    busy = claim(account_id=worker.account_id, executor_id=worker.id, k=9, idle=False)
    assert busy.slices == ()
    assert busy.suspects_waiting
    assert [one.slice_id for one in worker.claim(9)] == [suspect]


def test_a_suspect_that_cannot_be_given_stops_nobody() -> None:
    """While a suspect's window is fetched by another job, ordinary slices go on."""
    other = open_running("AAA", start=day("2024-01-02"), end=day("2024-01-05"))
    worker = Worker.of(other)
    assert worker.claim_one().job_id == other
    job = open_running("AAA", "BBB", start=day("2024-01-02"), end=day("2024-01-05"))
    sql(
        "UPDATE slice SET suspect = true FROM series s JOIN instrument i ON i.id = s.instrument_id"
        " WHERE s.id = slice.series_id AND i.symbol = 'AAA' AND slice.job_id = %s",
        job,
    )
    (one,) = Worker.of(job).claim()
    assert one.job_id == job
    assert not one.suspect


def test_every_budget_of_the_account_and_the_job_records_the_same_send_time() -> None:
    """One permit is entered in all limits at one time, the latest over all of them."""
    job = open_running()
    account = account_of(job)
    budgets = [
        add_budget(account=account, n=100),
        add_budget(account=account, n=50, seconds=10),
        add_budget(job=job, n=20),
    ]
    (one,) = Worker.of(job).claim(1)
    begun = the_slice(one.slice_id, "begun_at")[0]
    assert [sends(budget) for budget in budgets] == [[begun]] * 3


def test_a_covered_slice_takes_no_permit() -> None:
    """What needs no request is not counted against any limit."""
    first = open_running("AAA", end=day("2024-01-11"))
    second = open_running("AAA", end=day("2024-01-11"))
    worker = Worker.of(first)
    worker.finish(*[truthful(one) for one in worker.claim()])
    budget = add_budget(account=account_of(second))
    claimed = Worker.of(second).claim()
    assert claimed
    assert sends(budget) == []


def test_a_limit_hands_out_no_more_than_it_holds() -> None:
    """Of ten due slices and five permits a minute, five are leased; the wait is for the sixth."""
    job = open_running(start=day("2023-11-01"))
    worker = Worker.of(job)
    add_budget(account=worker.account_id, n=5, seconds=60)
    claimed = worker.claim(10)
    assert len(claimed) == 5
    answer = claim(account_id=worker.account_id, executor_id=worker.id, k=10, idle=False)
    assert answer.slices == ()
    assert 55 < answer.wait < 61
    assert value("SELECT paced_until > clock_timestamp() + interval '50 s' FROM account")


def test_a_jobs_own_limit_can_only_lower() -> None:
    """A job may be slower than its account, never faster."""
    slow = open_running("AAA", rate_limit=RateLimit(2, timedelta(minutes=1)))
    fast = open_running("BBB", rate_limit=RateLimit(1000, timedelta(seconds=1)))
    worker = Worker.of(slow)
    add_budget(account=worker.account_id, n=5, seconds=60)
    assert Counter(jobs(worker.claim(100))) == {slow: 2, fast: 3}


def test_a_slow_job_hides_no_other() -> None:
    """A job that waits for its own limit leaves the account's permits to other jobs."""
    slow = open_running("AAA", rate_limit=RateLimit(1, timedelta(hours=1)), slices_per_round=5)
    other = open_running("BBB", slices_per_round=5)
    worker = Worker.of(slow)
    served = [one.job_id for _ in range(4) for one in worker.claim(2)]
    assert served.count(slow) == 1
    assert served.count(other) >= 5
    assert value("SELECT paced_until FROM account") is None


def test_a_slow_jobs_suspect_stops_nobody() -> None:
    """A suspect that waits for its job's own limit leaves the account to the others."""
    slow = open_running("AAA", rate_limit=RateLimit(1, timedelta(hours=1)))
    worker = Worker.of(slow)
    worker.finish(truthful(worker.claim_one()))
    sql("UPDATE slice SET suspect = true WHERE state = 'ready' AND job_id = %s", slow)
    other = open_running("BBB")
    assert set(jobs(worker.claim())) == {other}


def test_a_further_page_takes_its_permit_from_every_budget() -> None:
    """A permit taken between pages is recorded in the account's limits and in the job's."""
    job = open_running()
    account = account_of(job)
    budgets = [add_budget(account=account), add_budget(job=job, n=20)]
    send_us, granted = take_permit(account_id=account, job_id=job)
    assert granted
    assert [sends(budget) for budget in budgets] == [[from_us(send_us)]] * 2


def test_no_permit_is_promised_beyond_the_horizon() -> None:
    """Where nothing is allowed soon, the answer says when to ask again, and nothing is recorded."""
    job = open_running()
    account = account_of(job)
    budget = add_budget(account=account, n=1, seconds=60)
    first_us, granted = take_permit(account_id=account, job_id=job)
    assert granted
    again_us, granted = take_permit(account_id=account, job_id=job)
    assert not granted
    assert 59_000_000 < again_us - first_us < 61_000_000
    assert len(sends(budget)) == 1


def test_a_blocked_account_grants_no_permit() -> None:
    """A block or an open circuit holds between pages too."""
    job = open_running()
    account = account_of(job)
    sql("UPDATE account SET blocked_until = clock_timestamp() + interval '30 seconds'")
    again_us, granted = take_permit(account_id=account, job_id=job)
    assert not granted
    assert from_us(again_us) == value("SELECT blocked_until FROM account")
    sql("UPDATE account SET blocked_until = NULL, circuit = 'open'")
    assert not take_permit(account_id=account, job_id=job)[1]
