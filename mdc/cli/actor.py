"""Who sits at the terminal."""

from __future__ import annotations

import getpass
import os

from ingestion.domain.actor import Actor


def current_actor() -> Actor:
    """Name the person at the terminal for the audit ledger."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        name = f"uid {os.getuid()}"
    return Actor(name=name, source="cli")
