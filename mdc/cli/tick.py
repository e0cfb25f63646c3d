"""`mdc tick`: what beat asks for each second, once, in this process."""

from __future__ import annotations

import click

import mdc.all_apps_ready  # noqa: F401

# isort: split
from ingestion.tasks import tick as tick_task
from mdc.cli.errors import SpeakingCommand


@click.command(cls=SpeakingCommand)
def tick() -> None:
    """Reap expired leases, settle jobs and hint at what is to be planned or fetched.

    Useful where beat does not run: the workers do the rest.
    """
    tick_task()
    click.echo("One tick done.")
