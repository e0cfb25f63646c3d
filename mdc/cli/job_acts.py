"""`mdc job start | pause | resume | cancel | retry-failed`."""

from __future__ import annotations

from collections.abc import Callable

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.domain.actor import Actor
from ingestion.domain.errors import MdcError
from ingestion.domain.states import ForbiddenTransition, JobState
from ingestion.services.cancel_job import cancel_job
from ingestion.services.change_priority import change_priority
from ingestion.services.list_jobs import list_failed_jobs
from ingestion.services.pause_job import pause_job
from ingestion.services.resume_job import resume_job
from ingestion.services.retry_failed import retry_failed
from ingestion.services.start_job import start_job
from ingestion.services.watch_job import watch_job
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.errors import FAILED, SpeakingCommand, SpokenUsage
from mdc.cli.output import count

Act = Callable[..., JobState]


def _act(job_ids: tuple[int, ...], act: Act, *, asked: str, reason: str) -> None:
    """Act on each job and say where it stands; a refusal does not keep the others from theirs."""
    refused = False
    for job_id in job_ids:
        try:
            act(job_id, actor=current_actor(), reason=reason)
        except (MdcError, ForbiddenTransition) as error:
            click.echo(f"mdc: job {job_id}: {error.args[0]}", err=True)
            refused = True
            continue
        progress = watch_job(job_id)
        wait = f"; {progress.waits}" if progress.waits else ""
        click.echo(f"Job {job_id}: {asked}. It is {progress.job.state}{wait}.")
    if refused:
        raise click.exceptions.Exit(FAILED)


@click.command(cls=SpeakingCommand)
@click.argument("job_ids", type=int, nargs=-1, required=True)
@options.reason()
def start(*, job_ids: tuple[int, ...], reason: str) -> None:
    """Start drafts."""
    _act(job_ids, start_job, asked="started", reason=reason)


@click.command(cls=SpeakingCommand)
@click.argument("job_ids", type=int, nargs=-1, required=True)
@options.reason()
def pause(*, job_ids: tuple[int, ...], reason: str) -> None:
    """Pause jobs; each stops at its next batch boundary and keeps its checkpoint."""
    _act(job_ids, pause_job, asked="asked to pause", reason=reason)


@click.command(cls=SpeakingCommand)
@click.argument("job_ids", type=int, nargs=-1, required=True)
@options.reason()
def resume(*, job_ids: tuple[int, ...], reason: str) -> None:
    """Let jobs go on from their checkpoints; a stopped account is let go too."""
    _act(job_ids, resume_job, asked="asked to go on", reason=reason)


@click.command(cls=SpeakingCommand)
@click.argument("job_ids", type=int, nargs=-1, required=True)
@options.reason()
def cancel(*, job_ids: tuple[int, ...], reason: str) -> None:
    """End jobs unfinished; what is stored stays."""
    _act(job_ids, cancel_job, asked="asked to end", reason=reason)


@click.command(cls=SpeakingCommand)
@click.argument("job_id", type=int)
@click.argument("number", type=click.IntRange(0, 255))
@options.reason()
def priority(*, job_id: int, number: int, reason: str) -> None:
    """Let a job go before those of lower priority, from its next slices on.

    Usual are 200 for polling, 180 to 199 for what someone waits for, 150 for repairs, 120 for
    updates and 100 for history.
    """
    change = change_priority(job_id, priority=number, actor=current_actor(), reason=reason)
    click.echo(f"Job {job_id} has priority {change.after}; it had {change.before}.")


@click.command("retry-failed", cls=SpeakingCommand)
@click.argument("job_ids", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every job that has failed slices.")
@options.reason()
def retry_failed_(*, job_ids: tuple[int, ...], every: bool, reason: str) -> None:
    """Try the failed slices of jobs again, and only those."""
    if bool(job_ids) == every:
        raise SpokenUsage("name the jobs to retry, or give --all")
    actor: Actor = current_actor()
    chosen = list_failed_jobs() if every else job_ids
    if not chosen:
        click.echo("No job has failed slices.")
    refused = False
    for job_id in chosen:
        try:
            replayed = retry_failed(job_id, actor=actor, reason=reason)
        except (MdcError, ForbiddenTransition) as error:
            click.echo(f"mdc: job {job_id}: {error.args[0]}", err=True)
            refused = True
            continue
        click.echo(f"Job {job_id}: {count(replayed, 'slice')} will be tried again.")
    if refused:
        raise click.exceptions.Exit(FAILED)
