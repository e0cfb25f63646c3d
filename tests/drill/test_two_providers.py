"""The drill beside a strict provider: random kills, among them at every crash point.

`MDC_DRILL_SEED` repeats one; the seed is printed, whatever becomes of it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

import pytest
from pytest_django import DjangoDbBlocker

from ingestion.store.crashpoints import POINTS
from providers.base import RateLimit
from providers.types import Timeframe
from tests.recovery.field import PROCESSES, Field, at_home_in, day, open_field
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

pytestmark = pytest.mark.drill

SECOND = timedelta(seconds=1)
RECOVERY_SECONDS = 30.0
SLICES = 4_000
DEATHS = 60
STRICT = RateLimit(50, SECOND)
# The drill opens no job that polls.
AIMED_AT = sorted(point for point in POINTS if not point.startswith("poll."))
Blow = Callable[[], None]


@pytest.fixture
def field(django_db_blocker: DjangoDbBlocker) -> Iterator[Field]:
    """Run a whole stack that nobody else uses."""
    with open_field(fetch_processes=2) as opened:
        opened.stack.start(PROCESSES)
        with at_home_in(opened, django_db_blocker) as prepared:
            yield prepared


def test_no_kill_makes_a_request_too_many_or_loses_a_bar(field: Field) -> None:
    """Not a bar is missing, twice or different; every blow is recovered from within 30 s.

    The provider never sees more than it allows, a slice that no worker survives is dead in the
    end, and no other is.
    """
    seed = int(os.environ.get("MDC_DRILL_SEED") or random.SystemRandom().randrange(10**6))
    print(f"MDC_DRILL_SEED={seed}")
    field.set_account("synthetic", max_in_flight=16)
    field.set_account("polygon", max_in_flight=16, limits=[STRICT])
    field.simulator.control.limit("polygon", (STRICT.n, STRICT.window.total_seconds()))
    field.simulator.control.arm({"kind": "status", "status": 503, "every": 40})
    poisoned = open_poisoned(field)
    freezes: list[Freeze] = []
    dice = random.Random(seed)
    with Watch(field) as watch:
        until(lambda: feed(field) and field.done() > 100, within=60)
        for blow in blows(watch, dice=dice, freezes=freezes):
            if watch.deaths >= DEATHS and field.done() >= SLICES:
                break
            blow()
            until(lambda: feed(field) and watch.is_calm(), within=2 * RECOVERY_SECONDS)
            time.sleep(dice.uniform(0.0, 1.0))
        watch.disarm()
        for frozen in freezes:
            frozen.wait()
        field.simulator.control.disarm()
        until(lambda: set(field.states().values()) == {"completed"}, within=300)
    print(f"{field.done()} slices, {watch.deaths} deaths, {len(freezes)} frozen")
    print(f"alone at work when somebody killed their worker, done since: {blamed(field)} slices")
    slow = [one for one in watch.recoveries() if one[1] is None or one[1] > RECOVERY_SECONDS]
    assert not slow
    assert field.simulator.control.stats()["polygon"]["violations"] == 0
    field.patiently(lambda: prove(field, [job for job in field.jobs if job != poisoned]))
    prove_poisoned(field, poisoned)


def feed(field: Field) -> bool:
    """Open further jobs when little is left to do; always True."""
    field.keep_busy(
        at_least=200,
        provider="polygon",
        timeframes=(Timeframe.D1,),
        start=day("2003-01-01"),
        end=day("2013-03-01"),
        slice_span=timedelta(days=8),
        rate_limit=RateLimit(20, SECOND),
    )
    # Two pages a slice now and then, so that permits are taken one by one; otherwise twins: what
    # the one has covered, the other one skips.
    paged = len(field.jobs) % 3 == 0
    field.keep_busy(
        at_least=200,
        timeframes=(Timeframe.M1 if paged else Timeframe.H1,),
        start=day("2020-06-01") if paged else day("2018-01-01"),
        slice_span=timedelta(days=50 if paged else 5),
        rate_limit=RateLimit(3 if paged else 20, SECOND),
        twice=not paged,
    )
    return True


def open_poisoned(field: Field) -> int:
    """Open a job whose first slice kills whoever reads its answer."""
    field.arm("fetch.after_response@POISON@2012-01-01")
    return field.open(
        provider="yahoo",
        symbols=("POISON",),
        timeframes=(Timeframe.D1,),
        start=day("2012-01-01"),
        end=day("2013-01-01"),
        slice_span=timedelta(days=30),
    )


def blows(watch: Watch, *, dice: random.Random, freezes: list[Freeze]) -> Iterator[Blow]:
    """Give every blow once, in random order, and then without end at random."""
    weighted: list[tuple[int, Blow]] = [
        (weight, partial(watch.strike, blow, name=name))
        for weight, name, blow in (
            (12, "fetch child", kill_a_fetcher),
            (6, "fetch", kill("fetch")),
            (4, "control child", kill("control/1")),
            (4, "control", kill("control")),
            (3, "beat", kill("beat")),
            (3, "valkey", kill("valkey")),
            (4, "flush", flush_the_broker),
            (4, "postgres", kill("postgres")),
            (4, "backend", kill_a_backend),
        )
    ]
    weighted += [
        (weight, partial(freeze, watch, name, freezes))
        for weight, name in ((3, ""), (1, "fetch"), (1, "control/1"), (1, "beat"))
    ]
    # Points that are passed seldom strike later, beside other blows.
    weighted += [(1, partial(watch.arm, point, patiently=True)) for point in AIMED_AT]
    weights = [weight for weight, _ in weighted]
    choices = [blow for _, blow in weighted]
    yield from dice.sample(choices, len(choices))
    while True:
        yield dice.choices(choices, weights=weights)[0]


def freeze(watch: Watch, name: str, freezes: list[Freeze]) -> None:
    """Stop a process beyond the lease; the campaign goes on meanwhile."""
    freezes.append(Freeze(name))
    watch.strike(freezes[-1], name=f"freeze {name}".strip())


def prove_poisoned(field: Field, job_id: int) -> None:
    """Its first slice is dead by the deaths of its workers, all others are done."""
    ((start, end, error_class),) = field.sql(
        'SELECT lower("window"), upper("window"), error_class FROM slice'
        " WHERE job_id = %s AND state = 'dead'",
        job_id,
    )
    assert error_class == "Crash"
    prove(field, [job_id], lost=[Lost("POISON", start, end)])


def blamed(field: Field) -> int:
    """Count the healthy slices that a crash was charged to for a while."""
    return int(
        field.value(
            "SELECT count(DISTINCT a.slice_id) FROM attempt a JOIN slice s ON s.id = a.slice_id"
            " WHERE s.state = 'done' AND (a.detail->>'crashes')::int > 0"
        )
    )
