"""Workers that can be exchanged, on one pair of servers, beside a provider that counts requests."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connections
from pytest_django import DjangoDbBlocker

from mdc.stack.embedded import EmbeddedStack
from providers.base import RateLimit
from providers.simulator.process import Simulator, SimulatorControl
from providers.types import Timeframe
from tests.conftest import point_django_at, temporary_home
from tests.recovery.field import KEY, SIMULATED_NOW, Field, day

PROVIDER = "polygon"
# The simulator has prices, real or invented, for every session in here.
DAYS = {"start": day("2004-01-01"), "end": day("2013-01-01")}
WEEK = timedelta(days=7)


@dataclass(slots=True)
class Ground:
    """Hold servers and a simulator that stay while workers come and go."""

    servers: EmbeddedStack
    simulator: Simulator

    @contextmanager
    def worked_by(self, fetch_processes: int) -> Iterator[Field]:
        """Run control, beat and that many fetch processes; the broker starts empty."""
        environment = {
            "MDC_FETCH_PROCESSES": str(fetch_processes),
            "MDC_PROVIDER_POLYGON_BASE_URL": self.simulator.base_url,
            "MDC_PROVIDER_POLYGON_KEY": KEY,
        }
        with (
            temporary_home() as home,
            EmbeddedStack(
                home,
                database_url=self.servers.database_url,
                broker_url=self.servers.broker_url,
                environment=environment,
                fetch_processes=fetch_processes,
            ) as workers,
        ):
            workers.start(["control", "fetch", "beat"], prepare=False)
            yield Field(workers, self.simulator, home.root)
            # Nothing is at work any more, so nobody need be let finish.
            workers.hurry()


@contextmanager
def open_ground(blocker: DjangoDbBlocker) -> Iterator[Ground]:
    """Run servers and a simulator, with this process's Django in their database."""
    config = {"now": SIMULATED_NOW, "polygon": {"keys": [KEY]}}
    with (
        temporary_home() as home,
        Simulator(config) as simulator,
        EmbeddedStack(home, durable=False) as servers,
    ):
        servers.prepare()
        connections.close_all()
        before = point_django_at(servers.database_url)
        with blocker.unblock():
            try:
                yield Ground(servers, simulator)
            finally:
                connections.close_all()
                for target in (
                    connections.settings["default"],
                    connections["default"].settings_dict,
                ):
                    target.update(before)


def backfill(field: Field, symbols: Sequence[str], **request: Any) -> int:
    """Open a backfill of daily bars, a slice a week, and return its id."""
    wanted = DAYS | {
        "provider": PROVIDER,
        "symbols": tuple(symbols),
        "timeframes": (Timeframe.D1,),
        "slice_span": WEEK,
        "max_concurrency": 64,
        "slices_per_round": 64,
    }
    return field.open(**(wanted | request))


def fresh_symbols(count: int) -> list[str]:
    """Make up symbols that no other test has asked for."""
    return [f"T{uuid.uuid4().hex[:8].upper()}" for _ in range(count)]


def restrict(field: Field, *limits: RateLimit, max_in_flight: int = 48) -> SimulatorControl:
    """Give the account these limits, and let the provider count what breaks them."""
    control = field.simulator.control
    control.disarm()
    control.set_now(SIMULATED_NOW)
    control.reset()
    control.limit(PROVIDER, *((one.n, one.window.total_seconds()) for one in limits))
    field.set_account(PROVIDER, max_in_flight=max_in_flight, limits=limits)
    return control


def wait_for(what: str, condition: Callable[[], bool], *, within: float) -> float:
    """Return the seconds until a condition held; an AssertionError names what did not come."""
    begun = time.monotonic()
    while not condition():
        seconds = time.monotonic() - begun
        assert seconds < within, f"{what}: not within {within:g} s"
        time.sleep(0.05)
    return time.monotonic() - begun
