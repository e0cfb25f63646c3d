"""Declare a target."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.store import audit, targets

DEFAULT_BATCH_SIZE: Final = 10_000
LARGEST_BATCH: Final = 1_000_000
# One name, one set of environment variables: neither case nor underscore may differ.
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class TargetRequest:
    """Describe a target; filters are None for "all". `config` is what its kind has checked."""

    name: str
    kind: str
    config: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = DEFAULT_BATCH_SIZE
    providers: Sequence[str] | None = None
    symbols: Sequence[str] | None = None
    timeframes: Sequence[str] | None = None


def check_batch_size(batch_size: int) -> None:
    """Raise BadRequest where no batch can have this size."""
    if not 1 <= batch_size <= LARGEST_BATCH:
        raise BadRequest(
            f"a batch holds 1 to {LARGEST_BATCH:,} bars, not {batch_size:,}", field="batch_size"
        )


def declare_target(request: TargetRequest, *, actor: Actor) -> int:
    """Add a target and return its id; it receives what is committed from now on.

    Raises BadRequest for a name that is taken or that no environment variable could carry.
    """
    # `--targets none` feeds nobody.
    if not _NAME.fullmatch(request.name) or len(request.name) > 64 or request.name == "none":
        raise BadRequest(
            f"{request.name!r} is no name for a target; use small letters, digits and single "
            "hyphens, such as research-lake",
            field="name",
        )
    check_batch_size(request.batch_size)
    with transaction.atomic():
        target_id = targets.add_target(
            name=request.name,
            kind=request.kind,
            config=request.config,
            batch_size=request.batch_size,
            providers=request.providers,
            symbols=request.symbols,
            timeframes=request.timeframes,
        )
        if target_id is None:
            raise BadRequest(
                f"there is a target named {request.name} already; choose another name, or "
                f"`mdc target remove {request.name} --yes` first",
                field="name",
            )
        audit.record(
            actor=actor,
            action="target.add",
            object_type="target",
            object_id=request.name,
            after={
                "kind": request.kind,
                "config": dict(request.config),
                "batch_size": request.batch_size,
            },
        )
    return target_id
