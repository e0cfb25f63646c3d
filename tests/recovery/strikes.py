"""The blows that a stack has to take, and the watch that tells how soon work went on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psycopg
import redis

from tests.recovery.field import Field
from tests.stack.waiting import until

# The lease, and what the reaper's silence adds before the executor counts as dead.
BEYOND_THE_LEASE = 17.0


@dataclass(frozen=True, slots=True)
class Blow:
    """Say what was struck and when, on the monotonic clock; `deaths` is 0 where nothing died."""

    name: str
    at: float
    deaths: int = 1


class Watch:
    """Note when slices get done and when armed crash points strike; a context manager."""

    def __init__(self, field: Field) -> None:
        self.blows: list[Blow] = []
        self.commits: list[float] = []
        self._begun = time.monotonic()
        self._field = field
        self._expected: set[str] = set()
        self._awaited: set[str] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    @property
    def still_armed(self) -> frozenset[str]:
        """Name the armed points at which nobody has died yet."""
        return frozenset(self._expected)

    @property
    def deaths(self) -> int:
        """Count the processes that were killed so far."""
        return sum(blow.deaths for blow in self.blows)

    def arm(self, *points: str, patiently: bool = False) -> None:
        """Arm crash points; a blow is noted when a process dies there.

        `patiently` is for points that are passed seldom: calm does not wait for them.
        """
        self._field.arm(*points)
        self._awaited |= set() if patiently else set(points)
        self._expected |= set(points)

    def disarm(self) -> None:
        """Take back the points at which nobody has died."""
        left, self._expected = self._expected, set()
        for point in left:
            (self._field.crash_folder / point).unlink(missing_ok=True)

    def strike(self, blow: Callable[[Field], int], *, name: str) -> None:
        """Deal a blow, which returns how many processes it killed, and note it."""
        at = time.monotonic()
        self.blows.append(Blow(name, at, blow(self._field)))

    def recoveries(self) -> list[tuple[str, float | None]]:
        """Return, per blow, the seconds until the next slice was committed; None if none was."""
        return [
            (blow.name, next((at - blow.at for at in self.commits if at > blow.at), None))
            for blow in self.blows
        ]

    def is_calm(self) -> bool:
        """Tell whether every awaited point has struck and something was committed since.

        And no slice is one blow from being given up: who dies with its worker three times over is
        taken for a poison, and rightly; here it would only be bad luck.
        """
        if self._expected & self._awaited or self._field.on_the_brink():
            return False
        return not self.blows or (bool(self.commits) and self.commits[-1] > self.blows[-1].at)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._thread.join()
        # For whoever reads a failure: what was dealt, and how it was taken.
        print(f"{self.deaths} processes killed: at second ..., seconds until the next commit")
        for blow, (name, seconds) in zip(self.blows, self.recoveries(), strict=True):
            print(f"{blow.at - self._begun:7.1f}  {name}: {_shown(seconds)}")
        print(f"crash points at which nobody died: {sorted(self._expected) or 'none'}")

    def _run(self) -> None:
        seen = 0
        while not self._closing.wait(0.2):
            struck = self._expected - self._field.armed()
            for point in sorted(struck):
                self._expected.discard(point)
                self.blows.append(Blow(point, time.monotonic()))
            try:
                done = self._count()
            except psycopg.OperationalError:
                continue  # PostgreSQL is away: nobody commits anything either
            if done > seen:
                seen = done
                self.commits.append(time.monotonic())

    def _count(self) -> int:
        with psycopg.connect(
            self._field.stack.database_url, connect_timeout=2, autocommit=True
        ) as connection:
            row = connection.execute(
                "SELECT count(*) FROM attempt WHERE outcome IN ('done', 'skipped')"
            ).fetchone()
        assert row is not None
        return int(row[0])


def _shown(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f}"


# --- blows -------------------------------------------------------------------------------------


def kill_pid(pid: int) -> int:
    """Kill with -9; return 1, or 0 for a process that had gone by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def kill(name: str) -> Callable[[Field], int]:
    """Make the blow that kills a supervised process, once it is there."""

    def blow(field: Field) -> int:
        until(lambda: name in field.stack.processes, within=60)
        return kill_pid(field.stack.processes[name])

    return blow


def fetchers_at_work(field: Field) -> list[int]:
    """List the worker children that hold leases at this moment, or all of them if none does."""
    alive = {pid for name, pid in field.stack.processes.items() if name.startswith("fetch/")}
    rows = field.sql(
        "SELECT e.pid FROM executor e WHERE EXISTS (SELECT 1 FROM slice s"
        " WHERE s.executor_id = e.id AND s.state = 'leased') ORDER BY e.last_seen DESC"
    )
    return [pid for (pid,) in rows if pid in alive] or sorted(alive)


def kill_a_fetcher(field: Field) -> int:
    """Kill a worker child that is at work."""
    found = fetchers_at_work(field)
    return kill_pid(found[0]) if found else 0


def kill_a_backend(field: Field) -> int:
    """Kill the PostgreSQL backend of a worker: the server throws everybody out and recovers."""
    rows = field.sql(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'mdc-worker' ORDER BY random()"
    )
    return kill_pid(rows[0][0]) if rows else 0


def flush_the_broker(field: Field) -> int:
    """Forget every message, queue and binding."""
    with redis.Redis(unix_socket_path=str(field.stack.home.valkey_socket)) as broker:
        broker.flushall()
    return 0


class Freeze:
    """Stop a process until long after its leases have expired; a fetcher at work by default."""

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._thaw: threading.Timer | None = None

    def __call__(self, field: Field) -> int:
        if self._name:
            pid = field.stack.processes.get(self._name)
        else:
            pid = next(iter(fetchers_at_work(field)), None)
        if pid is not None:
            os.kill(pid, signal.SIGSTOP)
            self._thaw = threading.Timer(BEYOND_THE_LEASE, _continue, [pid])
            self._thaw.start()
        return 0

    def wait(self) -> None:
        """Wait until the process runs again."""
        if self._thaw is not None:
            self._thaw.join()


def _continue(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return  # killed while it stood still
