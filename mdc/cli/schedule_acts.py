"""`mdc schedule pause, resume, trigger, remove`: act on schedules."""

from __future__ import annotations

import click
from django.conf import settings

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion import clock
from ingestion.services.declare_schedule import remove_schedule
from ingestion.services.pause_schedule import pause_schedule
from ingestion.services.resume_schedule import resume_schedule
from ingestion.services.trigger_schedule import trigger_schedule
from ingestion.store.schedule_reads import read_schedule
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand, SpokenUsage
from mdc.cli.output import count, when

_NAME = click.argument("name")
_NOTE = click.option("--note", default="", help="Why; it stands beside the schedule.")


@click.command(cls=SpeakingCommand)
@_NAME
@_NOTE
def pause(*, name: str, note: str) -> None:
    """Let nothing fire; what is due meanwhile is recorded as paused."""
    paused = pause_schedule(
        name, now=clock.now(), actor=current_actor(), egress=settings.EGRESS, note=note
    )
    click.echo(f"{name} is paused." if paused else f"{name} was paused already.")


@click.command(cls=SpeakingCommand)
@_NAME
@_NOTE
def resume(*, name: str, note: str) -> None:
    """Let it fire again, from its next due time on."""
    resumed = resume_schedule(
        name, now=clock.now(), actor=current_actor(), egress=settings.EGRESS, note=note
    )
    due = read_schedule(name).next_due_at
    click.echo(f"{name} {'goes on' if resumed else 'was not paused'}; next due: {when(due)}.")


@click.command(cls=SpeakingCommand)
@_NAME
@options.reason()
def trigger(*, name: str, reason: str) -> None:
    """Fire it once, now, whatever its rule, its pause and its open jobs say."""
    triggered = trigger_schedule(
        name, now=clock.now(), actor=current_actor(), egress=settings.EGRESS, reason=reason
    )
    if triggered.job_id is None:
        click.echo(f"{name} fired: its series will be inspected.")
        return
    job = triggered.job_id
    click.echo(f"{name} fired: job {job}. `mdc job show {job} --follow` stays with it.")


@click.command(cls=SpeakingCommand)
@_NAME
@click.option("--yes", is_flag=True, help="Really forget it and what became of its due times.")
@options.reason()
def remove(*, name: str, yes: bool, reason: str) -> None:
    """Forget a schedule and its slots; jobs that it started stay."""
    if not yes:
        read_schedule(name)
        raise SpokenUsage(f"this forgets what became of each due time of {name}: add --yes")
    slots = remove_schedule(name, actor=current_actor(), reason=reason)
    click.echo(f"{name} is gone, and with it {count(slots, 'slot')}.")
