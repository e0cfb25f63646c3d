"""PostgreSQL and Valkey from wheels, on private sockets below one home."""

from __future__ import annotations

import fcntl
import os
from types import TracebackType
from typing import Self

from mdc.stack import postgres, valkey
from mdc.stack.addresses import Home
from mdc.stack.errors import AlreadyRunning
from mdc.stack.files import make_private_folder, read_json
from mdc.stack.supervisor import Supervisor


class HomeLock:
    """Hold a home for one supervisor; the kernel lets go when the process dies."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock, or raise AlreadyRunning."""
        descriptor = os.open(self._home.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise AlreadyRunning(self._home.root, read_json(self._home.state).get("pid")) from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class EmbeddedServers:
    """Run the two servers while the context is open."""

    def __init__(self, home: Home, *, durable: bool = True) -> None:
        self.home = home
        self.supervisor: Supervisor
        self._durable = durable
        self._lock = HomeLock(home)

    @property
    def database_url(self) -> str:
        """Return the address of the database, as MDC_DATABASE_URL takes it."""
        return self.home.database_url()

    @property
    def broker_url(self) -> str:
        """Return the address of the broker, as MDC_BROKER_URL takes it."""
        return self.home.broker_url()

    def __enter__(self) -> Self:
        for folder in (self.home.root, self.home.run, self.home.logs):
            make_private_folder(folder)
        self._lock.take()
        self.supervisor = Supervisor()
        self.supervisor.add(
            [
                postgres.postgres_spec(self.home, durable=self._durable),
                valkey.valkey_spec(self.home),
            ]
        )
        self.supervisor.wait_ready([postgres.NAME, valkey.NAME])
        postgres.create_database(self.home)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.supervisor.close()
        self._lock.release()
