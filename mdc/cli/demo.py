"""`mdc demo`: the whole machine at work on real prices, without any network."""

from __future__ import annotations

import logging.config
import shlex
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from django.conf import settings
from rich.console import Console

from mdc.cli.errors import INTERRUPTED, SpeakingCommand, Spoken
from mdc.cli.output import out_console, span
from mdc.demo.errors import DemoBusy, DemoFailed
from mdc.demo.home import clean_home
from mdc.demo.plan import FULL
from mdc.demo.run import run_demo
from mdc.stack.addresses import Home
from mdc.stack.stopping import StopSignals
from providers.simulator.recorded import STOCKS_FILE


@click.command(cls=SpeakingCommand)
def demo() -> None:
    """Backfill, kill a worker, reconcile: real prices, real processes, no network.

    Runs its own stack in MDC_HOME/demo and stops it again. Exit code 0: every stored value equals
    the source file; 1: something did not come out as it must; 130: interrupted.
    """
    signals = StopSignals()
    signals.install()
    console = out_console()
    began = time.monotonic()
    try:
        home = clean_home(settings.MDC_HOME)
        _log_to(home.logs / "demo.log")
        run_demo(
            FULL,
            home=home,
            source=STOCKS_FILE,
            console=console,
            clock=lambda: datetime.now(UTC),
            signals=signals,
        )
    except KeyboardInterrupt:
        console.print("Stopped. Nothing is left running.")
        raise click.exceptions.Exit(INTERRUPTED) from None
    except DemoBusy as busy:
        raise Spoken(str(busy)) from busy
    except DemoFailed as failure:
        raise Spoken(f"the demo failed: {failure}. The logs are in {home.logs}") from failure
    _say_goodbye(console, home=home, seconds=time.monotonic() - began)


def _log_to(path: Path) -> None:
    """Keep the supervisor's remarks on a killed worker off the screen."""
    handler: dict[str, Any] = {
        "class": "logging.FileHandler",
        "filename": str(path),
        "formatter": "structured",
    }
    logging.config.dictConfig(settings.LOGGING | {"handlers": {"stderr": handler}})


def _say_goodbye(console: Console, *, home: Home, seconds: float) -> None:
    console.print()
    console.print(
        f"All of it as it must be, after {span(seconds)}. Nothing is left running.",
        style="bold green",
    )
    for command, purpose in (
        ("make up", "your own stack, with the pages; it prints their addresses and the login"),
        (f"MDC_HOME={shlex.quote(str(home.root))} make up", "the pages, on the data of this demo"),
        ("make demo", "once more, from an empty folder"),
        (
            ".venv/bin/mdc backfill yahoo --symbols AAPL --start 2024-01-01",
            "a first real fetch, while `make up` runs",
        ),
    ):
        console.print(f"  {command}", soft_wrap=True)
        console.print(f"      {purpose}", soft_wrap=True)
