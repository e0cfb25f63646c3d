"""Who acts, for the audit ledger."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Name the person or process, and the shell it acts through (cli, admin, beat, worker, api)."""

    name: str
    source: str


SYSTEM = Actor(name="mdc", source="worker")
