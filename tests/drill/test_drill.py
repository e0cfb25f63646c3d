"""The long drill: thousands of slices, dozens of deaths at random, nothing lost.

`MDC_DRILL_SEED` repeats one; the seed is printed, whatever becomes of it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from ingestion.store.crashpoints import POINTS
from providers.base import RateLimit
from providers.types import Timeframe
from tests.recovery.field import PROCESSES, Field, at_home_in, day, open_field
from tests.recovery.proof import prove
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

SLICES = 8000
DEATHS = 75
FLUSHES = 7
FREEZES = 5
RECOVERY_SECONDS = 30.0
# Points that ordinary work passes all the time; the campaign in tests/recovery has all of them.
BUSY_POINTS = sorted(
    point for point in POINTS if point.startswith(("claim.", "finish.", "fetch.", "tick."))
)
SYMBOLS = tuple(f"D{n:02}" for n in range(40))


@pytest.fixture
def field(django_db_blocker: DjangoDbBlocker) -> Iterator[Field]:
    """Run a whole stack that nobody else uses."""
    with open_field(fetch_processes=2) as opened:
        opened.stack.start(PROCESSES)
        with at_home_in(opened, django_db_blocker) as prepared:
            yield prepared


def test_thousands_of_slices_survive_dozens_of_random_deaths(field: Field) -> None:
    """The export equals that of an undisturbed run, and no healthy slice is charged a crash.

    Work goes on within 30 s of each blow.
    """
    seed = int(os.environ.get("MDC_DRILL_SEED") or random.SystemRandom().randrange(10**6))
    print(f"MDC_DRILL_SEED={seed}")
    dice = random.Random(seed)
    field.set_account("synthetic", max_in_flight=16, limits=[RateLimit(40, timedelta(seconds=1))])
    for first in range(0, len(SYMBOLS), 10):
        field.open(
            symbols=SYMBOLS[first : first + 10],
            timeframes=(Timeframe.H1,),
            start=day("2018-01-01"),
            end=day("2021-01-01"),
            slice_span=timedelta(days=5),
        )
    planned = _planned(field)
    freeze = Freeze()
    with Watch(field) as watch:
        until(lambda: field.done() > 50, within=60)
        for blow in _blows(dice, freeze):
            blow(watch)
            until(watch.is_calm, within=2 * RECOVERY_SECONDS)
            time.sleep(dice.uniform(0.0, 1.0))
        freeze.wait()
        until(lambda: set(field.states().values()) == {"completed"}, within=600)
    print(f"{planned} slices, {watch.deaths} deaths")
    slow = [one for one in watch.recoveries() if one[1] is None or one[1] > RECOVERY_SECONDS]
    assert not slow
    assert planned >= SLICES
    assert watch.deaths >= DEATHS
    connections.close_all()  # the last blow may have broken what this process had open
    prove(field, field.jobs)


def _planned(field: Field) -> int:
    until(lambda: not field.value("SELECT count(*) FROM job WHERE NOT planned"), within=60)
    return int(field.value("SELECT count(*) FROM slice"))


def _blows(dice: random.Random, freeze: Freeze) -> list[Callable[[Watch], None]]:
    """Shuffle kills of everything, armed crash points, flushes and freezes."""
    kills = {
        "a fetch child": kill_a_fetcher,
        "fetch": kill("fetch"),
        "control": kill("control"),
        "control child": kill("control/1"),
        "beat": kill("beat"),
        "valkey": kill("valkey"),
        "postgres": kill("postgres"),
        "a backend": kill_a_backend,
    }
    blows: list[Callable[[Watch], None]] = []
    # Some blows find nobody: a process that has just died, a point nobody passes any more.
    for n in range(DEATHS + 15):
        if n % 3 == 0:
            point = dice.choice(BUSY_POINTS)
            blows.append(lambda watch, point=point: watch.arm(point))  # type: ignore[misc]
        else:
            name = dice.choice(sorted(kills))
            blows.append(
                lambda watch, name=name: watch.strike(kills[name], name=name)  # type: ignore[misc]
            )
    blows += [lambda watch: watch.strike(flush_the_broker, name="flush")] * FLUSHES
    blows += [lambda watch: watch.strike(freeze, name="freeze")] * FREEZES
    dice.shuffle(blows)
    return blows
