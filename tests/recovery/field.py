"""A whole stack of its own in which everything may be killed, beside a simulated provider."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from django.db import InterfaceError, OperationalError, connections
from pytest_django import DjangoDbBlocker

from ingestion.domain.actor import Actor
from ingestion.domain.retry import CRASHES_BEFORE_DEAD
from ingestion.domain.spec import JobRequest
from ingestion.services.open_job import open_job
from mdc.stack.embedded import EmbeddedStack
from providers.base import RateLimit
from providers.simulator.process import Simulator
from providers.types import Timeframe
from tests.conftest import django_at, temporary_home

T = TypeVar("T")
TESTER = Actor(name="test", source="cli")
KEY = "simulated-key"
PROCESSES = ("control", "fetch", "beat")
# The simulator's clock: its real daily prices end on 2013-03-01.
SIMULATED_NOW = datetime(2013, 3, 2, 12, tzinfo=UTC)


def day(text: str) -> datetime:
    """Read an ISO date as midnight UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(slots=True)
class Field:
    """Hold a running stack, its simulator, and the folder in which crash points are armed.

    `jobs` are the historical ones opened so far.
    """

    stack: EmbeddedStack
    simulator: Simulator
    crash_folder: Path
    jobs: list[int] = field(default_factory=list)

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database over a connection of its own, as often as it takes it to come back."""
        deadline = time.monotonic() + 30
        while True:
            try:
                with psycopg.connect(
                    self.stack.database_url, connect_timeout=2, autocommit=True
                ) as connection:
                    cursor = connection.execute(query, values)
                    return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def value(self, query: str, *values: Any) -> Any:
        """Return the one value that a query finds."""
        return self.sql(query, *values)[0][0]

    def arm(self, *points: str) -> None:
        """Let the next process that passes each of the points die there."""
        for point in points:
            (self.crash_folder / point).touch()

    def armed(self) -> set[str]:
        """Name the points at which nobody has died yet."""
        return {file.name for file in self.crash_folder.iterdir()}

    def open(self, **request: Any) -> int:
        """Open a job and return its id; defaults make many small slices of invented bars."""
        wanted = {
            "provider": "synthetic",
            "symbols": ("AAA", "BBB"),
            "timeframes": (Timeframe.H1,),
            "start": day("2020-01-01"),
            "end": day("2021-01-01"),
            "slice_span": timedelta(days=5),
            "max_concurrency": 32,
            "slices_per_round": 16,
        } | request
        # The key makes it safe to ask again when PostgreSQL died before it answered.
        wanted.setdefault("request_key", uuid.uuid4().hex)
        opened = self.patiently(
            lambda: open_job(JobRequest(**wanted), now=datetime.now(UTC), actor=TESTER)
        )
        if wanted["end"] is not None:
            self.jobs.append(opened.job_id)
        return opened.job_id

    def patiently(self, act: Callable[[], T]) -> T:
        """Call a service through Django, again while PostgreSQL is away."""
        deadline = time.monotonic() + 30
        while True:
            connections.close_all()  # what was open may have been broken by a blow
            try:
                return act()
            except (OperationalError, InterfaceError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def set_account(
        self, provider: str, *, max_in_flight: int, limits: Sequence[RateLimit] = ()
    ) -> None:
        """Make a provider's account with the limits of a plan other than the declared one."""
        (account,) = self.sql(
            "INSERT INTO account (provider, name, egress, enabled, writes, circuit, circuit_reason,"
            " max_in_flight) VALUES (%s, 'default', 'default', true, true, 'closed', '', %s)"
            " ON CONFLICT (provider, name, egress) DO UPDATE"
            " SET max_in_flight = excluded.max_in_flight, paced_until = NULL RETURNING id",
            provider,
            max_in_flight,
        )[0]
        self.sql("DELETE FROM budget WHERE account_id = %s", account)
        for limit in limits:
            self.sql(
                "INSERT INTO budget (account_id, endpoint, algorithm, n, window_ms, guard_ms, cost,"
                " sends, stretch, reset_tz, used, reserve_pct)"
                " VALUES (%s, 'bars', 'log', %s, %s, 160, 1, '{}', 1, 'UTC', 0, 0)",
                account,
                limit.n,
                int(limit.window.total_seconds() * 1000),
            )

    def states(self, jobs: Sequence[int] | None = None) -> dict[int, str]:
        """Return the state of each job."""
        return dict(
            self.sql(
                "SELECT id, state FROM job WHERE id = ANY(%s)",
                list(self.jobs if jobs is None else jobs),
            )
        )

    def on_the_brink(self) -> bool:
        """Tell whether one more death of its worker would be the end of some slice."""
        return bool(
            self.sql(
                "SELECT 1 FROM slice WHERE state IN ('ready', 'leased') AND crashes >= %s LIMIT 1",
                CRASHES_BEFORE_DEAD - 1,
            )
        )

    def keep_busy(
        self, *, at_least: int, provider: str = "synthetic", twice: bool = False, **request: Any
    ) -> None:
        """Open one more job like this, or two of it, if fewer slices than that wait there."""
        ((waiting, planning),) = self.sql(
            "SELECT (SELECT count(*) FROM slice s JOIN job j ON j.id = s.job_id"
            "   WHERE s.state = 'ready' AND j.state = 'running' AND j.account_id = a.id),"
            " EXISTS (SELECT 1 FROM job j WHERE j.account_id = a.id AND j.state = 'queued')"
            " FROM account a WHERE a.provider = %s",
            provider,
        )
        if waiting < at_least and not planning:
            symbols = (f"MORE{len(self.jobs)}",)
            for _ in range(2 if twice else 1):
                self.open(provider=provider, symbols=symbols, **request)

    def done(self) -> int:
        """Count the slices that are done."""
        return int(self.value("SELECT count(*) FROM slice WHERE state = 'done'"))


@contextmanager
def open_field(
    *, fetch_processes: int = 2, database_url: str = "", broker_url: str = ""
) -> Iterator[Field]:
    """Run the servers and a simulator; `field.stack.start` or `staffed` adds the processes.

    With both addresses given, no server is started, and the database is taken to be prepared.
    """
    config = {
        "now": SIMULATED_NOW,
        "yahoo": {"enforce_reach": False},
        "polygon": {"keys": [KEY]},
    }
    with temporary_home() as home, Simulator(config) as simulator:
        crash_folder = home.root / "crash"
        crash_folder.mkdir()
        stack = EmbeddedStack(
            home,
            database_url=database_url,
            broker_url=broker_url,
            environment=_environment(simulator, crash_folder, fetch_processes),
            fetch_processes=fetch_processes,
        )
        with stack:
            if not database_url:
                stack.prepare()
            yield Field(stack, simulator, crash_folder)


@contextmanager
def staffed(field: Field, *, fetch_processes: int) -> Iterator[EmbeddedStack]:
    """Run workers and beat on a field's servers, as many fetch processes as are asked for."""
    with (
        temporary_home() as home,
        EmbeddedStack(
            home,
            database_url=field.stack.database_url,
            broker_url=field.stack.broker_url,
            environment=_environment(field.simulator, field.crash_folder, fetch_processes),
            fetch_processes=fetch_processes,
        ) as staff,
    ):
        staff.start(PROCESSES, prepare=False)
        yield staff


@contextmanager
def at_home_in(field: Field, blocker: DjangoDbBlocker) -> Iterator[Field]:
    """Let this process's Django work in a field's database; what it commits stays."""
    field.jobs.clear()
    with django_at(field.stack.database_url, blocker):
        yield field


def _environment(simulator: Simulator, crash_folder: Path, fetch_processes: int) -> dict[str, str]:
    return {
        "MDC_CRASH_POINTS": str(crash_folder),
        "MDC_FETCH_PROCESSES": str(fetch_processes),
        "MDC_PROVIDER_POLYGON_BASE_URL": simulator.base_url,
        "MDC_PROVIDER_POLYGON_KEY": KEY,
        "MDC_PROVIDER_YAHOO_BASE_URL": simulator.base_url,
    }
