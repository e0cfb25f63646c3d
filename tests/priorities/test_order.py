"""What people wait for goes first, and within a priority everybody gets their share."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from ingestion.domain.ensuring import Urgency
from ingestion.domain.errors import BadRequest, JobEnded, UnknownJob
from ingestion.domain.spec import default_priority
from ingestion.domain.states import JobKind, Workload
from ingestion.services.cancel_job import cancel_job
from ingestion.services.change_priority import PriorityChange, change_priority
from tests.protocol.scene import TESTER, Worker, day, open_running, sql, value

pytestmark = pytest.mark.django_db

ROUND = 2


def long_job(symbol: str, *, weight: int = 1, priority: int = 100) -> int:
    """Open a job of some 120 slices of one session, two a round."""
    job = open_running(
        symbol,
        start=day("2023-07-03"),
        end=day("2024-01-01"),
        slice_span=timedelta(days=1),
        slices_per_round=ROUND,
        priority=priority,
    )
    sql("UPDATE job SET weight = %s WHERE id = %s", weight, job)
    return job


def served(worker: Worker, slices: int, *, k: int = ROUND) -> Counter[int]:
    """Work slices off, so many at a time, and count them by job."""
    counts: Counter[int] = Counter()
    while counts.total() < slices:
        claimed = worker.claim(k)
        worker.finish_covered(*claimed)
        counts.update(one.job_id for one in claimed)
    return counts


def test_by_default_realtime_goes_before_ensure_repair_update_and_history() -> None:
    historical = [default_priority(Workload.HISTORICAL, kind) for kind in JobKind]
    assert dict(zip(JobKind, historical, strict=True)) == {
        JobKind.REPAIR: 150,
        JobKind.UPDATE: 120,
        JobKind.BACKFILL: 100,
        JobKind.RECONCILE: 100,
    }
    realtime = default_priority(Workload.REALTIME, JobKind.UPDATE)
    waited_for = [urgency.priority for urgency in Urgency]
    assert realtime > max(waited_for) > min(waited_for) > max(historical)
    assert waited_for == sorted(set(waited_for))


@pytest.mark.parametrize("k", [1, ROUND])
def test_weights_of_one_to_three_share_an_account_so_within_a_tenth(k: int) -> None:
    one, other = long_job("A", weight=1), long_job("B", weight=3)
    counts = served(Worker.of(one), 80, k=k)
    assert abs(counts[one] - 20) <= 2
    assert abs(counts[other] - 60) <= 6


def test_a_late_starter_is_not_owed_the_past() -> None:
    """Also where a job of another priority, which was seldom served, is far behind in time."""
    other = long_job("LAZY", priority=200)
    early = long_job("A")
    worker = Worker.of(early)
    sql("UPDATE job SET vtime = 300 WHERE id = %s", early)
    sql("UPDATE slice SET next_attempt_at = now() + interval '1 hour' WHERE job_id = %s", other)
    late = long_job("B")
    counts = served(worker, 40)
    assert abs(counts[early] - counts[late]) <= 2 * ROUND


def test_who_had_nothing_due_is_not_owed_the_past_either() -> None:
    one, other = long_job("A"), long_job("B")
    sql("UPDATE slice SET next_attempt_at = now() + interval '1 hour' WHERE job_id = %s", one)
    worker = Worker.of(one)
    assert served(worker, 60) == {other: 60}
    sql("UPDATE slice SET next_attempt_at = now() WHERE job_id = %s AND state = 'ready'", one)
    counts = served(worker, 40)
    assert abs(counts[one] - counts[other]) <= 2 * ROUND


def test_a_changed_priority_holds_from_the_next_claim_on() -> None:
    first, second = long_job("A"), long_job("B")
    worker = Worker.of(first)
    change = change_priority(second, priority=190, actor=TESTER, reason="the desk waits")
    assert change == PriorityChange(before=100, after=190)
    assert served(worker, 10) == {second: 10}
    assert sql(
        "SELECT actor, reason, before->>'priority', after->>'priority' FROM audit_event"
        " WHERE action = 'job.change_priority'"
    ) == [("tester", "the desk waits", "100", "190")]
    assert change_priority(second, priority=150, actor=TESTER, only_raise=True).after == 190
    assert change_priority(second, priority=50, actor=TESTER).after == 50
    assert served(worker, 10) == {first: 10}


def test_a_job_that_has_ended_and_a_number_that_is_none_are_refused() -> None:
    job = open_running()
    cancel_job(job, actor=TESTER)
    with pytest.raises(JobEnded, match="is cancelled"):
        change_priority(job, priority=150, actor=TESTER)
    with pytest.raises(BadRequest, match="0 to 255"):
        change_priority(job, priority=256, actor=TESTER)
    with pytest.raises(UnknownJob):
        change_priority(10**9, priority=150, actor=TESTER)


def test_repairs_fetch_what_is_covered_and_say_so() -> None:
    """As reconciliations do; an update leaves it alone."""
    stored = open_running(end=day("2024-01-20"))
    Worker.of(stored).work_off()
    for kind, repeated in ((JobKind.UPDATE, False), (JobKind.REPAIR, True)):
        job = open_running(end=day("2024-01-20"), kind=kind)
        Worker.of(job).work_off()
        marks = "SELECT count(*) FROM attempt WHERE job_id = %s AND detail ? 'reconciled'"
        tries = "SELECT count(*) FROM attempt WHERE job_id = %s"
        assert value(marks, job) == value(tries, job) == (value(tries, stored) if repeated else 0)
