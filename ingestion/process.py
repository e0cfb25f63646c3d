"""The identity of this worker process."""

from __future__ import annotations

import functools
import os
import socket
import uuid

from ingestion.services.run_slices import Executor


def this_executor() -> Executor:
    """Return who this process is; a forked child is somebody else."""
    return _executor(os.getpid())


@functools.lru_cache(maxsize=1)
def _executor(pid: int) -> Executor:
    return Executor(id=uuid.uuid4(), host=socket.gethostname(), pid=pid)
