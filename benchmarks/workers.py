"""Real worker processes for a benchmark, over the bench's own database and broker."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mdc.stack.addresses import Home
from mdc.stack.embedded import EmbeddedStack

FETCHING: Final = ("control", "fetch", "beat")


@contextmanager
def working(
    stack: EmbeddedStack,
    *,
    environment: Mapping[str, str],
    kinds: Sequence[str] = FETCHING,
    fetch_processes: int = 2,
) -> Iterator[None]:
    """Let workers run, with settings of their own, until the block ends."""
    home = Path(tempfile.mkdtemp(prefix="mdc-bench-workers-"))
    try:
        with EmbeddedStack(
            Home.at(home),
            database_url=stack.database_url,
            broker_url=stack.broker_url,
            environment=environment,
            fetch_processes=fetch_processes,
        ) as workers:
            workers.start(kinds, prepare=False)
            yield
    finally:
        shutil.rmtree(home, ignore_errors=True)
