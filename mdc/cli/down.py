"""`mdc down`: stop a stack from another terminal."""

from __future__ import annotations

import os
import signal
import time

import click
from django.conf import settings

from mdc.stack.lock import is_locked, read_running

_PATIENCE_SECONDS = 60.0


@click.command()
def down() -> None:
    """Stop the stack at MDC_HOME and wait until nothing of it runs."""
    home = settings.MDC_HOME
    running = read_running(home)
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while is_locked(home):
        if time.monotonic() > deadline:
            raise click.ClickException(
                f"Process {running.pid} has not stopped within {_PATIENCE_SECONDS:.0f} s: "
                f"`kill -9 {running.pid}` ends it, and the next `mdc up` recovers."
            )
        time.sleep(0.1)
    click.echo("Stopped. Nothing is left running.")
