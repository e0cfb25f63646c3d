"""What people ask of running jobs takes effect within ten seconds, whatever the jobs are doing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from ingestion.domain.states import JobState
from ingestion.services.cancel_job import cancel_job
from ingestion.services.pause_job import pause_job
from ingestion.services.resume_job import resume_job
from providers.base import RateLimit
from providers.simulator.process import SimulatorControl
from tests.limits.work import PROVIDER, WEEK, backfill, fresh_symbols, restrict, wait_for
from tests.recovery.field import TESTER, Field, day
from tests.recovery.proof import prove

SECOND = timedelta(seconds=1)
EFFECT_SECONDS = 10.0
# Long after the lease was taken away, but before the test ends.
LATE_SECONDS = 9.0
JOBS = 50
WEEKS = 8
START = day("2010-01-04")

pytestmark = pytest.mark.parametrize("staff", [2], indirect=True)


@pytest.mark.drill
def test_fifty_jobs_are_paused_and_cancelled_at_once_while_requests_hang(field: Field) -> None:
    """Each within 10 s of being asked, without a lease left; what was paused goes on to its end.

    Two requests are never answered, two so late that others hold their slices or nobody wants them
    any more: what these bring is not written.
    """
    # Slow enough that none of the fifty is done before the last one runs.
    control = restrict(field, RateLimit(5, SECOND), max_in_flight=24)
    symbols = fresh_symbols(JOBS)
    hung, late = symbols[0:2], symbols[2:4]
    make_trouble(control, hung=hung, late=late)
    jobs = [
        # Those in trouble come first, so that their requests are out when the others run.
        backfill(
            field,
            [symbol],
            start=START,
            end=START + WEEKS * WEEK,
            priority=150 if symbol in hung + late else 100,
        )
        for symbol in symbols
    ]
    paused, cancelled = jobs[0::2], jobs[1::2]
    wait_for(
        "fifty running jobs and four open requests",
        lambda: (
            set(field.states(jobs).values()) == {"running"}
            and all(one["hits"] == 1 for one in control.faults())
        ),
        within=30,
    )
    sent = time.monotonic()
    asked = ask(pause_job, paused) | ask(cancel_job, cancelled)
    await_effect(
        field, asked, dict.fromkeys(paused, "paused") | dict.fromkeys(cancelled, "cancelled")
    )
    done_before = field.done()
    control.disarm()
    control.limit(PROVIDER, (200, 1.0))
    field.set_account(PROVIDER, max_in_flight=24, limits=[RateLimit(200, SECOND)])
    await_effect(field, ask(resume_job, paused), dict.fromkeys(paused, "running"))
    wait_for("the end", lambda: set(field.states(paused).values()) == {"completed"}, within=30)
    time.sleep(max(0.0, sent + LATE_SECONDS + 1.0 - time.monotonic()))
    assert field.done() > done_before
    assert control.stats()[PROVIDER]["violations"] == 0
    prove(field, paused)
    assert set(field.states(cancelled).values()) == {"cancelled"}
    assert tries_in_trouble(field, [jobs[0], jobs[2]]) == {
        ("yielded", "LeaseReleased"),
        ("done", ""),
    }
    assert tries_in_trouble(field, [jobs[1], jobs[3]]) == {("yielded", "LeaseReleased")}
    assert not field.sql(
        "SELECT b.series_id, b.ts FROM bar b JOIN attempt a ON a.id = b.attempt_id"
        " JOIN slice s ON s.id = a.slice_id WHERE a.job_id = ANY(%s)"
        " AND (a.outcome, s.state) <> ('done', 'done')",
        jobs,
    )


def make_trouble(control: SimulatorControl, *, hung: Sequence[str], late: Sequence[str]) -> None:
    """Let the first request of some symbols hang, and that of others be answered late and wrong."""
    control.arm(*({"kind": "hang", "symbol": one, "first": 1} for one in hung))
    for one in late:
        control.arm(
            {"kind": "latency", "seconds": LATE_SECONDS, "symbol": one, "first": 1},
            {"kind": "revise", "factor": 3.0, "symbol": one, "first": 1},
        )


def tries_in_trouble(field: Field, jobs: Sequence[int]) -> set[tuple[str, str]]:
    """Return how the tries ended of those slices whose lease was taken away."""
    return set(
        field.sql(
            "SELECT outcome, error_class FROM attempt WHERE slice_id IN ("
            " SELECT slice_id FROM attempt WHERE job_id = ANY(%s)"
            "   AND error_class = 'LeaseReleased')",
            list(jobs),
        )
    )


def ask(verb: Callable[..., JobState], jobs: Sequence[int]) -> dict[int, float]:
    """Ask for the same of several jobs; return when each was asked."""
    asked = {}
    for job_id in jobs:
        asked[job_id] = time.monotonic()
        verb(job_id, actor=TESTER)
    return asked


def await_effect(field: Field, asked: dict[int, float], wanted: dict[int, str]) -> None:
    """Wait until each job is seen in the wanted state, within 10 s of being asked.

    Paused and cancelled jobs hold no lease at the moment at which they are seen to be so.
    """
    open_jobs = dict(asked)
    slowest = 0.0
    while open_jobs:
        seen = field.sql(
            "SELECT id, state, EXISTS (SELECT 1 FROM slice s WHERE s.job_id = job.id"
            "   AND s.lease_token IS NOT NULL) FROM job WHERE id = ANY(%s)",
            list(open_jobs),
        )
        now = time.monotonic()
        for job_id, state, holds_leases in seen:
            if state == wanted[job_id]:
                assert state == "running" or not holds_leases, f"job {job_id} is {state}"
                slowest = max(slowest, now - open_jobs.pop(job_id))
        late = [job_id for job_id, at in open_jobs.items() if now - at > EFFECT_SECONDS]
        assert not late, f"not within {EFFECT_SECONDS:g} s: {field.states(late)}"
        time.sleep(0.05)
    assert slowest <= EFFECT_SECONDS
    print(f"{len(asked)} jobs: {sorted(set(wanted.values()))} within {slowest:.1f} s")
