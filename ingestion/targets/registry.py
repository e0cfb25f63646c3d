"""The kinds of target by name; a kind's libraries are loaded when one is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from ingestion.domain.errors import BadRequest

if TYPE_CHECKING:
    from ingestion.targets.base import Sink

# A new kind: one file, one line, and one word in the check of table `target`.
SINKS: Final = {
    "parquet": "ingestion.targets.parquet:ParquetLake",
    "bus": "ingestion.targets.bus:MessageBus",
    "webhook": "ingestion.targets.webhook:Webhook",
}


def sink_class(kind: str) -> type[Sink]:
    """Return what delivers to targets of a kind; raises BadRequest, which lists them."""
    if kind not in SINKS:
        raise BadRequest(
            f"there is no target of kind {kind!r}; use {', '.join(SINKS)}", field="kind"
        )
    module, _, name = SINKS[kind].partition(":")
    found: type[Sink] = getattr(importlib.import_module(module), name)
    return found
