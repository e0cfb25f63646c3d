"""The random passwords and keys of one home."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass

from mdc.stack.addresses import Home
from mdc.stack.files import read_json, write_private_json

ADMIN_NAME = "admin"


@dataclass(frozen=True, slots=True)
class Logins:
    """Hold what `mdc up` made at random the first time; kept in a file only the user can read."""

    admin_password: str
    flower_password: str
    secret_key: str


def ensure_logins(home: Home) -> Logins:
    """Return the logins of a home, making those that are missing."""
    known = read_json(home.secrets)
    logins = Logins(
        admin_password=known.get("admin_password") or secrets.token_urlsafe(12),
        flower_password=known.get("flower_password") or secrets.token_urlsafe(12),
        secret_key=known.get("secret_key") or secrets.token_urlsafe(64),
    )
    if known != asdict(logins):
        write_private_json(home.secrets, asdict(logins))
    return logins
