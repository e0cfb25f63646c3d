"""Find an identity under which PostgreSQL agrees to run: it refuses root."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mdc.stack.errors import NoUnprivilegedUser

LAUNCHER = Path(__file__).with_name("launcher.py")
# Any number but 0 serves inside a namespace: on disk everything stays the caller's.
_NAMESPACE_ID = 1000


@dataclass(frozen=True, slots=True)
class Identity:
    """Name an identity in the launcher's words; `owner` must own the data, None: the caller."""

    word: str
    owner: tuple[int, int] | None = None


SAME = Identity("same")


def launch_command(
    argv: tuple[str, ...], *, identity: Identity = SAME, death_signal: int = signal.SIGKILL
) -> list[str]:
    """Return the command line that turns into argv under an identity, tied to this process."""
    return [
        sys.executable,
        "-I",
        "-S",
        str(LAUNCHER),
        str(os.getpid()),
        str(int(death_signal)),
        identity.word,
        "--",
        *argv,
    ]


def _candidates() -> list[Identity]:
    found = []
    if sys.platform.startswith("linux"):
        found.append(Identity(f"namespace:{_NAMESPACE_ID}:{_NAMESPACE_ID}"))
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        found.append(Identity(f"user:{user.pw_uid}:{user.pw_gid}", (user.pw_uid, user.pw_gid)))
    return found


def _refusal(identity: Identity, *, server: Path, home: Path) -> str | None:
    """Say why a server cannot run under an identity; None when it can."""
    outcome = subprocess.run(
        launch_command((str(server), "--version"), identity=identity),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if outcome.returncode:
        return f"{identity.word}: {outcome.stderr.strip() or 'cannot run the server'}"
    if identity.owner and not _reachable(home):
        return f"{identity.word}: {home} lies in a folder closed to other users"
    return None


def _reachable(home: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in home.parents if folder.exists())


def server_identity(*, server: Path, home: Path) -> Identity:
    """Return the identity for PostgreSQL: the caller's, unless that is root.

    `server` is its binary, `home` the stack's folder. Raises NoUnprivilegedUser with every reason.
    """
    if os.geteuid() != 0:
        return SAME
    refusals = []
    for identity in _candidates():
        refusal = _refusal(identity, server=server, home=home)
        if refusal is None:
            return identity
        refusals.append(refusal)
    raise NoUnprivilegedUser(tuple(refusals))
