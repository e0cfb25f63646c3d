"""Expired leases are taken back, and a crash is charged only where there is proof."""

from __future__ import annotations

from uuid import UUID

import pytest

from ingestion.services.bury_executors import bury_executors
from ingestion.services.reap_leases import reap_leases
from ingestion.store.leases import heartbeat, open_run, register_executor
from tests.protocol.scene import (
    Worker,
    attempts_of,
    expire_leases,
    open_running,
    slice_states,
    sql,
    the_slice,
    truthful,
    value,
)

pytestmark = pytest.mark.django_db

GUILT = "state, crashes, suspect, tries"


def dead_worker(job_id: int) -> Worker:
    """Make a worker whose last heartbeat is a minute old."""
    worker = Worker.of(job_id)
    register_executor(executor_id=worker.id, host="here", pid=1)
    return worker


def let_die(worker: Worker, *, seconds: int = 60) -> None:
    """Let a worker have died some seconds ago, at work on all that it had leased."""
    sql(
        "UPDATE executor SET last_seen = clock_timestamp() - make_interval(secs => %s)"
        " WHERE id = %s",
        seconds,
        worker.id,
    )
    sql(
        "UPDATE slice SET begun_at = clock_timestamp() - make_interval(secs => %s),"
        " leased_at = greatest(pg_postmaster_start_time() + interval '1 ms',"
        "                      clock_timestamp() - make_interval(secs => %s)),"
        " lease_until = clock_timestamp() - interval '1 second' WHERE executor_id = %s",
        seconds,
        seconds,
        worker.id,
    )


def test_an_expired_lease_is_ready_again_and_recorded() -> None:
    """The slice loses lease, token and executor, is due at once, and the try is in the ledger."""
    job = open_running()
    worker = dead_worker(job)
    one = worker.claim_one()
    let_die(worker)
    assert reap_leases() == 1
    assert the_slice(one.slice_id, "state, lease_token, lease_until, executor_id") == (
        "ready",
        None,
        None,
        None,
    )
    assert attempts_of(job) == [("crashed", 0, 0, "LeaseExpired")]
    assert reap_leases() == 0


def test_a_valid_lease_is_left_alone() -> None:
    """Nothing is reaped before its time."""
    job = open_running()
    Worker.of(job).claim(3)
    assert reap_leases() == 0
    assert slice_states(job)["leased"] == 3


def test_slices_that_died_together_are_all_suspect_and_none_is_charged() -> None:
    """Of several at work in a dead process none can be told guilty."""
    job = open_running()
    worker = dead_worker(job)
    claimed = worker.claim(3)
    let_die(worker)
    assert reap_leases() == 3
    for one in claimed:
        assert the_slice(one.slice_id, GUILT) == ("ready", 0, True, 0)


def test_a_suspect_that_dies_alone_is_charged_and_the_third_time_dead() -> None:
    """A poison slice is found: suspect, then three crashes of its own, then dead."""
    job = open_running()
    poison = None
    for crashes in (0, 1, 2, 3):
        worker = dead_worker(job)
        (one,) = worker.claim(1)
        poison = poison or one
        assert one.slice_id == poison.slice_id
        let_die(worker)
        reap_leases()
        state = "dead" if crashes == 3 else "ready"
        assert the_slice(one.slice_id, GUILT) == (state, crashes, True, 0)
    assert [row[0] for row in attempts_of(job)] == ["crashed"] * 3 + ["dead"]
    assert the_slice(poison.slice_id, "error_class")[0] == "Crash"
    assert "worker log" in the_slice(poison.slice_id, "error")[0]
    # The others go on.
    assert Worker.of(job).work_off() == slice_states(job)["done"] > 0


def test_a_suspect_clears_itself_by_finishing() -> None:
    """A slice that happened to be near a death is free again after its next success."""
    job = open_running()
    worker = dead_worker(job)
    one = worker.claim_one()
    let_die(worker)
    reap_leases()
    again = Worker.of(job)
    again.finish(truthful(again.claim_one()))
    assert the_slice(one.slice_id, GUILT) == ("done", 0, False, 0)


def test_a_living_executor_is_charged_with_nothing() -> None:
    """A lease that ran out while heartbeats go on (a slow commit) makes nobody suspect."""
    job = open_running()
    worker = dead_worker(job)
    one = worker.claim_one()
    let_die(worker, seconds=60)
    sql("UPDATE executor SET last_seen = clock_timestamp()")
    assert reap_leases() == 1
    assert the_slice(one.slice_id, GUILT) == ("ready", 0, False, 0)


def test_a_restart_of_postgresql_charges_nobody() -> None:
    """Leases older than the server's start ended with it, not with their slices."""
    job = open_running()
    worker = dead_worker(job)
    one = worker.claim_one()
    let_die(worker)
    sql("UPDATE slice SET leased_at = pg_postmaster_start_time() - interval '1 minute'")
    assert reap_leases() == 1
    assert the_slice(one.slice_id, GUILT) == ("ready", 0, False, 0)
    assert value("SELECT detail->>'server_restarted' FROM attempt") == "true"


def test_a_slice_that_had_not_begun_is_charged_with_nothing() -> None:
    """Who still waited for its permit when the process died did not kill it."""
    job = open_running()
    worker = dead_worker(job)
    one = worker.claim_one()
    let_die(worker)
    sql("UPDATE slice SET begun_at = clock_timestamp() WHERE id = %s", one.slice_id)
    assert reap_leases() == 1
    assert the_slice(one.slice_id, GUILT) == ("ready", 0, False, 0)


def test_an_executor_that_nobody_knows_counts_as_dead() -> None:
    """A lease under an unknown executor is taken back all the same."""
    job = open_running()
    worker = Worker.of(job)
    worker.claim(2)
    expire_leases(job)
    assert reap_leases() == 2


def test_a_late_answer_after_the_reaper_is_fenced() -> None:
    """A frozen worker that wakes up later writes nothing."""
    job = open_running()
    worker = dead_worker(job)
    answer = truthful(worker.claim_one())
    let_die(worker)
    reap_leases()
    assert worker.finish(answer).fenced == 1
    assert value("SELECT count(*) FROM bar") == 0


def test_a_heartbeat_keeps_what_is_in_hand_and_nothing_else() -> None:
    """Leases of other tokens run out, though they bear the same executor's name."""
    job = open_running()
    worker = dead_worker(job)
    kept, lost = worker.claim(2)
    let_die(worker, seconds=5)
    run_id, slots = open_run(executor_id=worker.id, account_id=worker.account_id, share=2)
    assert slots == 2
    orders = beat(worker, run_id, [kept.token])
    assert not orders
    assert reap_leases() == 1
    assert the_slice(kept.slice_id, "state")[0] == "leased"
    assert the_slice(lost.slice_id, GUILT) == ("ready", 0, False, 0)


def beat(worker: Worker, run_id: int, tokens: list[UUID]) -> frozenset[int]:
    """Send a heartbeat and return the jobs it says are to stop."""
    return heartbeat(
        executor_id=worker.id,
        run_id=run_id,
        account_id=worker.account_id,
        processes=2,
        tokens=tokens,
    ).stopped_jobs


def test_a_heartbeat_learns_of_pause_and_cancel() -> None:
    """Jobs that shall stop are named to every run on their account."""
    job, other = open_running("AAA"), open_running("BBB")
    worker = dead_worker(job)
    run_id, _ = open_run(executor_id=worker.id, account_id=worker.account_id, share=2)
    assert beat(worker, run_id, []) == frozenset()
    sql("UPDATE job SET desired = 'pause' WHERE id = %s", job)
    assert beat(worker, run_id, []) == {job}
    sql("UPDATE job SET desired = 'cancel' WHERE id = %s", other)
    assert beat(worker, run_id, []) == {job, other}


def test_an_executor_known_to_be_dead_is_buried_at_once() -> None:
    """Its leases and its fetch slots are free without waiting for their length."""
    job = open_running()
    worker = dead_worker(job)
    sql("UPDATE executor SET born = 1.5")
    worker.claim(2)
    open_run(executor_id=worker.id, account_id=worker.account_id, share=4)
    assert bury_executors(host="here", is_alive=lambda pid, born: (pid, born) == (1, 1.5)) == 0
    assert bury_executors(host="elsewhere", is_alive=lambda pid, born: False) == 0
    assert bury_executors(host="here", is_alive=lambda pid, born: False) == 1
    assert reap_leases() == 2
    assert value("SELECT count(*) FROM fetch_run") == 0
