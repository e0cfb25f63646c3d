"""Where a stack keeps things, derived from its home alone so that nobody has to be told."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

# sun_path holds 108 bytes with its terminating zero (104 on macOS).
_SOCKET_PATH_LIMIT = 103
_LONGEST_SOCKET_NAME = ".s.PGSQL.5432.lock"

DATABASE_NAME = "mdc"
DATABASE_USER = "mdc"


@dataclass(frozen=True, slots=True)
class Home:
    """Name every file of one stack; `root` is absolute."""

    root: Path

    @classmethod
    def at(cls, path: str | Path) -> Home:
        """Resolve a path, relative ones against the working directory."""
        return cls(root=Path(path).expanduser().resolve())

    @property
    def lock(self) -> Path:
        """Hold the file that the running supervisor locks."""
        return self.root / "lock"

    @property
    def state(self) -> Path:
        """Hold addresses and processes of the running stack, as JSON."""
        return self.root / "state.json"

    @property
    def secrets(self) -> Path:
        """Hold the random passwords and keys, as JSON."""
        return self.root / "secrets.json"

    @property
    def ports(self) -> Path:
        """Hold the ports used last time, as JSON."""
        return self.root / "ports.json"

    @property
    def logs(self) -> Path:
        """Hold one log per process."""
        return self.root / "logs"

    @property
    def postgres_data(self) -> Path:
        """Hold the PostgreSQL cluster."""
        return self.root / "postgres"

    @property
    def valkey_data(self) -> Path:
        """Hold Valkey's working directory."""
        return self.root / "valkey"

    @property
    def run(self) -> Path:
        """Hold sockets and readiness marks; outside the home when its path is too long."""
        inside = self.root / "run"
        if len(os.fsencode(inside / _LONGEST_SOCKET_NAME)) <= _SOCKET_PATH_LIMIT:
            return inside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()).resolve() / f"mdc-{os.geteuid()}-{digest}"

    @property
    def valkey_socket(self) -> Path:
        """Name the Unix socket of Valkey."""
        return self.run / "valkey.sock"

    def database_url(self, database: str = DATABASE_NAME) -> str:
        """Return the libpq address of the embedded PostgreSQL: a private Unix socket, no TCP."""
        return f"postgresql://{DATABASE_USER}@/{database}?host={quote(str(self.run), safe='')}"

    def broker_url(self) -> str:
        """Return the kombu address of the embedded Valkey: a private Unix socket, no TCP."""
        return f"redis+socket://{quote(str(self.valkey_socket))}"
