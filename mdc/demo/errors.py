"""How a demo ends badly."""

from __future__ import annotations

import shlex
from pathlib import Path


class DemoFailed(Exception):
    """Say in one sentence what did not come out as it must."""


class DemoBusy(Exception):
    """Say that the demo's folder is in use."""

    def __init__(self, home: Path, pid: int | None) -> None:
        self.home = home
        self.pid = pid
        process = f" (process {pid})" if pid else ""
        super().__init__(
            f"a stack runs already at {home}{process}; wait for it, "
            f"or stop it with `MDC_HOME={shlex.quote(str(home))} mdc down`"
        )
