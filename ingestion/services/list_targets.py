"""List targets with what is still to be delivered to them."""

from __future__ import annotations

from ingestion.store import targets
from ingestion.store.targets import Standing


def list_targets() -> list[Standing]:
    """Return every target by name, with its pending bars, lag and last error."""
    return targets.standings()
