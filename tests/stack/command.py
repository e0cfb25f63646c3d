"""Run the `mdc` command as a program."""

from __future__ import annotations

import os
import subprocess
import sys

from mdc.stack.processes import PROJECT


def mdc(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command and return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "mdc", *arguments],
        cwd=PROJECT,
        env={**os.environ, "COLUMNS": "200", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
