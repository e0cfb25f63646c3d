"""A campaign against a whole running stack: everything dies, the result stays the same."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from itertools import zip_longest
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

import ingestion
from ingestion.domain.states import Workload
from ingestion.services.cancel_job import cancel_job
from ingestion.store.crashpoints import POINTS
from providers.base import RateLimit
from providers.types import Timeframe
from tests.recovery.field import PROCESSES, TESTER, Field, at_home_in, day, open_field
from tests.recovery.proof import Lost, prove
from tests.recovery.strikes import (
    Freeze,
    Watch,
    flush_the_broker,
    kill,
    kill_a_backend,
    kill_a_fetcher,
)
from tests.stack.waiting import until

RECOVERY_SECONDS = 30.0
SECOND = timedelta(seconds=1)
CONTROL_POINTS = frozenset(
    point
    for point in POINTS
    if point.startswith(("tick.", "plan.", "poll.", "settle.", "bury.", "reap."))
)
# Passed only now and then: when a run begins or ends, when somebody has died, at the end of a lease
# or a job, at an overlap, and in a drain.
SELDOM = frozenset(
    point
    for point in POINTS
    if point.startswith(("run.", "bury.", "reap.", "settle.", "covered.", "yield.", "heartbeat."))
)
# Nothing is delivered here: tests/targets lets the process that delivers die at its own points.
DELIVERING = frozenset(point for point in POINTS if point.startswith("deliver."))
# Nothing is scheduled here: tests/schedules lets the process that fires die at its own points.
FIRING = frozenset(point for point in POINTS if point.startswith(("fire.", "resolve.")))
# Passed only by slices of several pages, which are few.
PAGING = ("permit.before_commit", "permit.after_commit")
DAILY = {
    "provider": "polygon",
    "timeframes": (Timeframe.D1,),
    "start": day("2006-01-01"),
    "end": day("2013-03-01"),
    "slice_span": timedelta(days=20),
    "rate_limit": RateLimit(20, SECOND),
}
Step = Callable[[], None]


@pytest.fixture(scope="module")
def running_field() -> Iterator[Field]:
    with open_field(fetch_processes=4) as running:
        running.stack.start(PROCESSES)
        yield running


@pytest.fixture
def field(running_field: Field, django_db_blocker: DjangoDbBlocker) -> Iterator[Field]:
    with at_home_in(running_field, django_db_blocker) as prepared:
        yield prepared


def test_every_crash_point_is_listed_and_stands_somewhere() -> None:
    """The list in crashpoints.py and the calls in the code are the same set, each once."""
    called = [
        name
        for file in Path(ingestion.__file__).parent.rglob("*.py")
        for name in re.findall(r'crash_point\(\s*"([^"]+)"', file.read_text(encoding="utf-8"))
    ]
    assert sorted(called) == sorted(POINTS)


def test_everything_dies_and_the_export_stays_the_same(field: Field) -> None:
    """Each process, each server and every crash point is struck while jobs run.

    Work goes on within 30 s of every blow, and at the end the stored bars, coverage, checkpoints
    and the ledger are those of an undisturbed run.
    """
    polling = open_work(field)
    with Watch(field) as watch:
        until(lambda: field.done() > 20, within=60)
        freeze = Freeze()
        on_fetching = blows_on_fetching(field, watch, freeze=freeze)
        for steps in zip_longest(on_fetching, blows_on_control(field, watch)):
            for step in filter(None, steps):
                step()
            wait_for(watch.is_calm, field)
        wait_for(lambda: not watch.still_armed, field)
        freeze.wait()
        field.simulator.control.disarm()
        until(lambda: set(field.states().values()) == {"completed"}, within=120)
    field.patiently(lambda: cancel_job(polling, actor=TESTER))
    slow = [one for one in watch.recoveries() if one[1] is None or one[1] > RECOVERY_SECONDS]
    assert not slow
    assert not watch.still_armed
    assert watch.deaths >= 20
    prove(field, field.jobs)


def open_work(field: Field) -> int:
    """Open jobs that together pass every crash point; return the one that polls."""
    field.set_account("synthetic", max_in_flight=16)
    field.set_account("polygon", max_in_flight=16, limits=[RateLimit(60, SECOND)])
    field.simulator.control.arm({"kind": "status", "status": 503, "every": 25})
    # Two pages a slice, so that permits are taken one by one.
    field.open(
        symbols=("PAGED",),
        timeframes=(Timeframe.M1,),
        start=day("2019-01-01"),
        slice_span=timedelta(days=50),
        rate_limit=RateLimit(2, SECOND),
        max_concurrency=4,
    )
    # Two that overlap: what the one has covered, the other one skips.
    for _ in range(2):
        field.open(symbols=("TWICE",), start=day("2018-01-01"), rate_limit=RateLimit(12, SECOND))
    field.open(symbols=("AAPL", "GOOG", "FB"), **DAILY)
    return field.open(
        symbols=("POLLED",),
        timeframes=(Timeframe.M1,),
        start=day("2026-01-01"),
        end=None,
        slice_span=None,
        workload=Workload.REALTIME,
        poll_seconds=1,
    )


def blows_on_fetching(field: Field, watch: Watch, *, freeze: Freeze) -> list[Step]:
    """List what happens to those who fetch, and to PostgreSQL first of all."""
    blows = {"fetch": kill("fetch"), "fetch child": kill_a_fetcher}
    steps = [partial(watch.strike, blow, name=name) for name, blow in blows.items()]
    points = POINTS - CONTROL_POINTS - SELDOM - DELIVERING - FIRING - set(PAGING)
    steps += [partial(watch.arm, point) for point in sorted(points)]
    random.Random(2).shuffle(steps)
    return [
        *(partial(watch.arm, point) for point in PAGING),
        partial(watch.strike, kill("postgres"), name="postgres"),
        partial(watch.strike, kill_a_backend, name="backend"),
        partial(watch.strike, freeze, name="freeze"),
        partial(watch.arm, *SELDOM, patiently=True),
        partial(drain, field, watch),
        *steps,
    ]


def blows_on_control(field: Field, watch: Watch) -> list[Step]:
    """List what happens to those who decide and to those who carry messages."""
    blows = {
        "control": kill("control"),
        "control child": kill("control/1"),
        "beat": kill("beat"),
        "valkey": kill("valkey"),
        "flush": flush_the_broker,
    }
    steps = [partial(watch.strike, blow, name=name) for name, blow in blows.items()]
    steps += [
        partial(strike_control, field, watch, point) for point in sorted(CONTROL_POINTS - SELDOM)
    ]
    random.Random(3).shuffle(steps)
    return steps


def strike_control(field: Field, watch: Watch, point: str) -> None:
    """Arm a point of the control side, and open a small job where a new one is needed."""
    watch.arm(point)
    if point.startswith("plan."):
        field.open(symbols=(point,), start=day("2020-12-01"))


def drain(field: Field, watch: Watch) -> None:
    """Let every run end early, until slices that wait for a permit have been given back."""
    points = {"yield.before_commit", "yield.after_commit"}
    watch.arm(*points)

    def given_back() -> bool:
        field.sql("UPDATE executor SET draining = true WHERE NOT draining")
        return not points & watch.still_armed

    wait_for(given_back, field)
    field.sql("UPDATE executor SET draining = false")


def wait_for(condition: Callable[[], bool], field: Field) -> None:
    """Wait for a condition while there is always something to fetch from both providers."""

    def met() -> bool:
        field.keep_busy(at_least=50, rate_limit=RateLimit(20, SECOND))
        field.keep_busy(at_least=50, **DAILY)
        return condition()

    until(met, within=2 * RECOVERY_SECONDS)


def test_a_slice_that_no_worker_survives_ends_dead_and_the_others_are_done(field: Field) -> None:
    """A poisoned slice dies after a few deaths of its workers; nobody else is blamed for them."""
    field.set_account("yahoo", max_in_flight=16)
    field.arm("fetch.after_response@POISON@2012-01-01")
    job_id = field.open(
        provider="yahoo",
        symbols=("POISON",),
        timeframes=(Timeframe.D1,),
        start=day("2012-01-01"),
        end=day("2013-01-01"),
        slice_span=timedelta(days=30),
    )
    until(lambda: field.states()[job_id] == "completed", within=90)
    ((slice_id, start, end, error_class, error),) = field.sql(
        'SELECT id, lower("window"), upper("window"), error_class, error FROM slice'
        " WHERE job_id = %s AND state = 'dead'",
        job_id,
    )
    assert error_class == "Crash"
    assert "its worker died" in error
    tries = field.sql("SELECT outcome FROM attempt WHERE slice_id = %s ORDER BY id", slice_id)
    outcomes = [outcome for (outcome,) in tries]
    assert set(outcomes[:-1]) == {"crashed"}
    assert outcomes[-1] == "dead"
    assert 3 <= len(outcomes) <= 6
    prove(field, [job_id], lost=[Lost("POISON", start, end)])
