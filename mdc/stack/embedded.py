"""A whole mdc on one machine: servers, workers, beat, pages, under one supervisor."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

import orjson
import psutil
import structlog

from mdc.stack import postgres, valkey
from mdc.stack.addresses import Home
from mdc.stack.errors import HomeUnusable, PrepareFailed
from mdc.stack.external import check_broker, check_database, shown_broker, shown_database
from mdc.stack.files import make_private_folder, write_private_json
from mdc.stack.identity import launch_command
from mdc.stack.lock import HomeLock, describe, remove_survivors
from mdc.stack.logins import Logins, ensure_logins
from mdc.stack.ports import HOST, pick_port
from mdc.stack.processes import (
    ALL,
    PAGES,
    PROJECT,
    WORKERS,
    Surroundings,
    child_environment,
    process_spec,
)
from mdc.stack.supervisor import ProcessSpec, ProcessStatus, Supervisor, open_log, tail_of

log = structlog.get_logger(__name__)


class EmbeddedStack:
    """Run a stack while the context is open; processes that die come back.

    Entering starts PostgreSQL and Valkey, or checks the given ones; `start` prepares the database
    once and runs mdc's own processes. `durable=False` is for tests that never kill PostgreSQL.
    Raises AlreadyRunning, NoServerBinary, NoUnprivilegedUser, ServerUnreachable, StartFailed...
    """

    def __init__(
        self,
        home: Home,
        *,
        database_url: str = "",
        broker_url: str = "",
        environment: Mapping[str, str] | None = None,
        fetch_processes: int = 2,
        durable: bool = True,
    ) -> None:
        self.home = home
        self.database_url = database_url or home.database_url()
        self.broker_url = broker_url or home.broker_url()
        self.logins: Logins
        self.admin_password_valid = False
        self._own_database = bool(database_url)
        self._own_broker = bool(broker_url)
        self._environment = dict(environment or {})
        self._fetch_processes = fetch_processes
        self._durable = durable
        self._lock = HomeLock(home)
        self._supervisor: Supervisor | None = None
        self._ports: dict[str, int] = {}
        self._prepared = False

    # --- life ----------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            for folder in (self.home.root, self.home.run, self.home.logs):
                make_private_folder(folder)
            self._lock.take()
        except OSError as error:
            raise HomeUnusable(self.home.root, str(error.strerror)) from error
        try:
            self._start_servers()
        except OSError as error:
            self.stop()
            raise HomeUnusable(self.home.root, str(error.strerror)) from error
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_servers(self) -> None:
        remove_survivors(self.home)
        self.logins = ensure_logins(self.home)
        specs = self._server_specs()
        self._supervisor = Supervisor(on_change=self._write_state)
        self._supervisor.add(specs)
        self._supervisor.wait_ready([spec.name for spec in specs])
        if not self._own_database:
            postgres.create_database(self.home)

    def _server_specs(self) -> list[ProcessSpec]:
        specs = []
        if self._own_database:
            check_database(self.database_url)
        else:
            specs.append(postgres.postgres_spec(self.home, durable=self._durable))
        if self._own_broker:
            check_broker(self.broker_url)
        else:
            specs.append(valkey.valkey_spec(self.home))
        return specs

    def prepare(self) -> None:
        """Migrate the database and make the first login; raises PrepareFailed."""
        log = self.home.logs / "prepare.log"
        with open_log(log) as report:
            outcome = subprocess.run(
                launch_command((sys.executable, "-m", "mdc.stack.prepare")),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=report,
                env=self.environment,
                cwd=PROJECT,
                check=False,
                # Ctrl-C in a terminal is for us alone; we end this child in an orderly way.
                start_new_session=True,
            )
        if outcome.returncode:
            raise PrepareFailed(log, tail_of(log))
        self.admin_password_valid = orjson.loads(outcome.stdout)["admin_password_valid"]
        self._prepared = True

    def start(
        self,
        processes: Iterable[str] = ALL,
        *,
        prepare: bool = True,
        timeout: float = 60.0,
    ) -> None:
        """Run some of control, fetch, deliver, beat, web, flower, and wait until they serve.

        `prepare=False` says that the database is ready, as a test's own is.
        """
        names = list(processes)
        if prepare and not self._prepared:
            self.prepare()
        for name in names:
            if name in PAGES and name not in self._ports:
                self._ports[name] = pick_port(self.home, name)
        around = Surroundings(
            home=self.home,
            environment=self.environment,
            servers=self._servers(),
            fetch_processes=self._fetch_processes,
            logins=self.logins,
            ports=self._ports,
        )
        self.supervisor.add([process_spec(name, around) for name in names])
        self.supervisor.wait_ready(names, timeout=timeout)

    def run(self, spec: ProcessSpec, *, timeout: float = 60.0) -> None:
        """Run one more process beside the others and wait until it serves."""
        self.supervisor.add([spec])
        self.supervisor.wait_ready([spec.name], timeout=timeout)

    def stop_processes(self, names: Iterable[str]) -> None:
        """Stop some processes and keep the rest."""
        self.supervisor.stop(names)

    def hurry(self) -> None:
        """Cut a stop short: kill what still takes its time. Safe inside a signal handler."""
        if self._supervisor is not None:
            self._supervisor.hurry()

    def stop(self) -> None:
        """Stop everything; nothing is left behind."""
        if self._supervisor is not None:
            self._supervisor.close()
            self._supervisor = None
            self.home.state.unlink(missing_ok=True)
        self._lock.release()

    # --- what others need to know --------------------------------------------------------------

    @property
    def supervisor(self) -> Supervisor:
        """Return the supervisor; only inside the context."""
        if self._supervisor is None:
            raise RuntimeError("The stack is not open: use it as a context manager.")
        return self._supervisor

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment for a process that belongs to this stack."""
        return child_environment(
            {
                "MDC_HOME": str(self.home.root),
                "MDC_DATABASE_URL": self.database_url,
                "MDC_BROKER_URL": self.broker_url,
                **self._environment,
            }
        )

    @property
    def processes(self) -> dict[str, int]:
        """Return name -> process id; pool children are control/1, fetch/1, fetch/2..."""
        found = self.supervisor.pids()
        for worker in WORKERS:
            if worker in found:
                children = _children(found[worker])
                found |= {f"{worker}/{n}": pid for n, pid in enumerate(children, start=1)}
        return found

    @property
    def addresses(self) -> dict[str, str]:
        """Return name -> URL of the pages that run."""
        return {name: f"http://{HOST}:{port}/" for name, port in self._ports.items()}

    @property
    def database_shown(self) -> str:
        """Return the database's address fit for a screen."""
        return self.database_url if not self._own_database else shown_database(self.database_url)

    @property
    def broker_shown(self) -> str:
        """Return the broker's address fit for a screen."""
        return self.broker_url if not self._own_broker else shown_broker(self.broker_url)

    def _servers(self) -> tuple[str, ...]:
        running = {status.name for status in self.supervisor.status()}
        return tuple(name for name in (postgres.NAME, valkey.NAME) if name in running)

    def _write_state(self, statuses: list[ProcessStatus]) -> None:
        try:
            write_private_json(self.home.state, describe(statuses, self.addresses))
        except OSError as error:
            # A full disk must not end the supervisor: it brings PostgreSQL back when there is room.
            log.warning("state not written", error=str(error))


def _children(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []
