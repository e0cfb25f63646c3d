"""`mdc up`: everything on one machine, in the foreground."""

from __future__ import annotations

import logging.config
import signal

import click
from django.conf import settings
from rich.console import Console

from mdc.stack.embedded import EmbeddedStack
from mdc.stack.logins import ADMIN_NAME
from mdc.stack.stopping import StopSignals


@click.command()
def up() -> None:
    """Run PostgreSQL, Valkey, workers, beat, the web pages and Flower until Ctrl-C.

    MDC_DATABASE_URL and MDC_BROKER_URL put servers of your own in place of the embedded ones.
    """
    logging.config.dictConfig(settings.LOGGING)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    stack = EmbeddedStack(
        settings.MDC_HOME,
        database_url=settings.OWN_DATABASE_URL,
        broker_url=settings.OWN_BROKER_URL,
        fetch_processes=settings.FETCH_PROCESSES,
    )
    signals = StopSignals()
    signals.install()
    signals.watch_over(stack)
    try:
        with stack:
            _start(console, stack)
            _announce(console, stack)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        console.print("Stopped. Nothing is left running.")


def _start(console: Console, stack: EmbeddedStack) -> None:
    with console.status("Preparing the database ..."):
        stack.prepare()
    with console.status("Starting workers, beat and pages ..."):
        stack.start()


def _announce(console: Console, stack: EmbeddedStack) -> None:
    logins = stack.logins
    admin = f"{ADMIN_NAME} / {logins.admin_password}"
    if not stack.admin_password_valid:
        admin = "the login you set"
    # Plain lines: a table would cut off addresses that people copy.
    console.print("mdc is running")
    console.print(f"  pages     {stack.addresses['web']}  login {admin}")
    console.print(
        f"  Flower    {stack.addresses['flower']}  login {ADMIN_NAME} / {logins.flower_password}"
    )
    console.print(f"  database  {stack.database_shown}")
    console.print(f"  broker    {stack.broker_shown}")
    console.print(f"  logs      {stack.home.logs}")
    console.print("Ctrl-C stops everything. `mdc status` and `mdc down` work from elsewhere.")
