"""`mdc target pause, resume, replay, resize, remove`: act on a target."""

from __future__ import annotations

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.services.declare_target import LARGEST_BATCH
from ingestion.services.pause_target import pause_target
from ingestion.services.remove_target import remove_target
from ingestion.services.replay_target import replay_target
from ingestion.services.resize_target import resize_target
from ingestion.services.resume_target import resume_target
from ingestion.store.targets import read_target
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand, SpokenUsage
from mdc.cli.inputs import Given
from mdc.cli.output import count

_NAME = click.argument("name")


@click.command(cls=SpeakingCommand)
@_NAME
@options.reason()
def pause(*, name: str, reason: str) -> None:
    """Withhold deliveries; what is committed meanwhile is delivered after resuming."""
    paused = pause_target(name, actor=current_actor(), reason=reason)
    click.echo(f"{name} is paused." if paused else f"{name} was paused already.")


@click.command(cls=SpeakingCommand)
@_NAME
@options.reason()
def resume(*, name: str, reason: str) -> None:
    """Let deliveries go on, and a failed one be tried at once."""
    resumed = resume_target(name, actor=current_actor(), reason=reason)
    click.echo(f"{name} goes on." if resumed else f"{name} was not stopped.")


@click.command(cls=SpeakingCommand)
@_NAME
@click.option(
    "--batch-size",
    type=click.IntRange(1, LARGEST_BATCH),
    required=True,
    help="Bars in one delivery.",
)
@options.reason()
def resize(*, name: str, batch_size: int, reason: str) -> None:
    """Change the batch size; a delivery that failed is composed anew."""
    resize_target(name, batch_size=batch_size, actor=current_actor(), reason=reason)
    click.echo(f"{name} gets up to {count(batch_size, 'bar')} in one delivery.")


@click.command(cls=SpeakingCommand)
@_NAME
@click.option("--yes", is_flag=True, help="Really forget it and what is still pending.")
@options.reason()
def remove(*, name: str, yes: bool, reason: str) -> None:
    """Forget a target; what it has received stays where it is."""
    if not yes:
        read_target(name)
        raise SpokenUsage(f"this forgets what is still pending for {name}: add --yes")
    forgotten = remove_target(name, actor=current_actor(), reason=reason)
    click.echo(f"{name} is gone, and with it {count(forgotten, 'pending delivery note')}.")


@click.command(cls=SpeakingCommand)
@_NAME
@options.symbols()
@options.window(start_help="First day (UTC); everything stored without it.")
@options.reason()
def replay(
    *,
    name: str,
    symbols: tuple[str, ...],
    start: Given | None,
    end: Given | None,
    reason: str,
) -> None:
    """Deliver what is stored already, as if it had just been committed."""
    noted = replay_target(
        name,
        actor=current_actor(),
        symbols=symbols or None,
        start=start.as_start if start else None,
        end=end.as_end if end else None,
        reason=reason,
    )
    click.echo(
        f"{name} will receive {count(noted.bars, 'bar')} of {count(noted.series, 'series')}."
    )
