"""`mdc definition start, remove`: act on definitions."""

from __future__ import annotations

import click
from django.conf import settings

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion import clock
from ingestion.domain.schedules import ScheduleAction
from ingestion.domain.windows import Window
from ingestion.services.declare_definition import remove_definition
from ingestion.services.start_definition import start_definition
from ingestion.store.definitions import read_definition
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand, SpokenUsage
from mdc.cli.inputs import Given, check_past
from mdc.cli.output import count

# An inspection is no job: `mdc inspect` does it.
_ACTIONS = [one.value for one in ScheduleAction if one is not ScheduleAction.INSPECT]


@click.command(cls=SpeakingCommand)
@click.argument("name")
@options.symbols(help="Only these of its symbols.")
@click.option(
    "--action",
    type=click.Choice(_ACTIONS),
    default=ScheduleAction.UPDATE.value,
    show_default=True,
    help="Fetch what lacks, or fetch a window again.",
)
@options.window(start_help="First day (UTC); all that is meant without it.")
@options.reason()
def start(
    *,
    name: str,
    symbols: tuple[str, ...],
    action: str,
    start: Given | None,
    end: Given | None,
    reason: str,
) -> None:
    """Start one job of a dataset, now."""
    now = clock.now()
    if end is not None and start is None:
        raise SpokenUsage("--end goes with --start; add it")
    window = None
    if start is not None:
        check_past(start=start, end=end, now=now)
        window = Window(start.as_start, end.as_end if end else now)
    job_id = start_definition(
        name,
        now=now,
        actor=current_actor(),
        action=ScheduleAction(action),
        symbols=symbols,
        window=window,
        reason=reason,
        egress=settings.EGRESS,
    )
    click.echo(f"{name} has begun: job {job_id}. `mdc job show {job_id} --follow` stays with it.")


@click.command(cls=SpeakingCommand)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Really forget it, its schedules and their slots.")
@options.reason()
def remove(*, name: str, yes: bool, reason: str) -> None:
    """Forget a dataset and its schedules; what it fetched stays."""
    if not yes:
        read_definition(name)
        raise SpokenUsage(f"this forgets {name}, its schedules and their slots: add --yes")
    schedules = remove_definition(name, actor=current_actor(), reason=reason)
    click.echo(f"{name} is gone, and with it {count(schedules, 'schedule')}; its bars stay.")
