"""`mdc job`: see jobs and act on them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.domain.actor import Actor
from ingestion.domain.errors import MdcError
from ingestion.domain.states import ForbiddenTransition, JobState
from ingestion.services.cancel_job import cancel_job
from ingestion.services.describe_job import describe_job
from ingestion.services.list_events import list_events
from ingestion.services.list_jobs import ListedJob, list_failed_jobs, list_jobs
from ingestion.services.pause_job import pause_job
from ingestion.services.resume_job import resume_job
from ingestion.services.retry_failed import retry_failed
from ingestion.services.start_job import start_job
from ingestion.services.watch_job import watch_job
from mdc.cli.backfill import current_actor, exit_code, wait_and_summarize
from mdc.cli.errors import FAILED, SpeakingCommand, SpokenUsage, speak
from mdc.cli.job_view import render_description
from mdc.cli.output import count, out_console, print_json, table, when
from mdc.cli.shapes import description_shape, event_shape, listed_shape, summary_shape
from mdc.cli.summary_table import render_summary

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
REASON_OPTION = click.option("--reason", default="", help="Why, for the audit ledger.")


@click.group()
def job() -> None:
    """See jobs, and start, pause, resume, cancel or retry them."""


@job.command("list", cls=SpeakingCommand)
@click.option(
    "--state", "states", multiple=True, type=click.Choice([state.value for state in JobState])
)
@click.option("--provider", metavar="NAME", help="Only jobs at this provider.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--before", "before_id", type=int, metavar="ID", help="Only jobs older than this.")
@JSON_OPTION
def list_(
    *,
    states: tuple[str, ...],
    provider: str | None,
    limit: int,
    before_id: int | None,
    as_json: bool,
) -> None:
    """List jobs, newest first."""
    found = list_jobs(
        states=[JobState(state) for state in states] or None,
        provider=provider,
        before_id=before_id,
        limit=limit,
    )
    if as_json:
        print_json([listed_shape(one) for one in found])
        return
    if not found:
        click.echo("No jobs. `mdc backfill --help` says how to make one.")
        return
    numeric = frozenset(("job", "priority", "slices", "failed", "bars"))
    made = table(
        *("job", "state", "kind", "provider", "symbols", "timeframe"),
        *("priority", "slices", "failed", "bars", "created", "waits"),
        numeric=numeric,
    )
    for one in found:
        made.add_row(*_line(one))
    console = out_console()
    console.print(made)
    if len(found) == limit:
        console.print(f"Older ones: mdc job list --before {found[-1].job.id}")


def _line(one: ListedJob) -> tuple[str, ...]:
    row, slices = one.job, one.slices
    total = f"{slices.total:,}" if row.planned else f"{slices.total:,}+"
    more = row.symbol_count - len(row.symbols)
    return (
        str(row.id),
        f"{row.state} ({row.outcome})" if row.outcome else str(row.state),
        str(row.kind),
        row.provider,
        ",".join(row.symbols) + (f" +{more}" if more > 0 else ""),
        ",".join(row.timeframes),
        str(row.priority),
        f"{slices.settled:,}/{total}",
        f"{slices.dead:,}",
        f"{slices.rows:,}",
        when(row.created_at),
        "" if row.state.is_final else row.wait_reason,
    )


@job.command(cls=SpeakingCommand)
@click.argument("job_id", type=int)
@click.option("--follow", is_flag=True, help="Stay until the job ends, then sum it up.")
@JSON_OPTION
def show(*, job_id: int, follow: bool, as_json: bool) -> None:
    """Show one job: what it does, where it stands, why it waits, what failed."""
    if follow:
        watch_job(job_id)
        summary = wait_and_summarize(job_id)
        if as_json:
            print_json(summary_shape(summary))
        else:
            render_summary(summary, out_console())
        raise click.exceptions.Exit(exit_code(summary))
    description = describe_job(job_id)
    if as_json:
        print_json(description_shape(description))
    else:
        render_description(description, out_console())


Act = Callable[..., JobState]


def _act(job_ids: tuple[int, ...], act: Act, *, asked: str, reason: str) -> None:
    """Act on each job and say where it stands; a refusal does not keep the others from theirs."""
    refused = False
    for job_id in job_ids:
        try:
            act(job_id, actor=current_actor(), reason=reason)
        except (MdcError, ForbiddenTransition) as error:
            click.echo(f"mdc: job {job_id}: {speak(error).format_message()}", err=True)
            refused = True
            continue
        progress = watch_job(job_id)
        wait = f"; {progress.waits}" if progress.waits else ""
        click.echo(f"Job {job_id}: {asked}. It is {progress.job.state}{wait}.")
    if refused:
        raise click.exceptions.Exit(FAILED)


@job.command(cls=SpeakingCommand)
@click.argument("job_ids", type=int, nargs=-1, required=True)
@REASON_OPTION
def start(*, job_ids: tuple[int, ...], reason: str) -> None:
    """Start drafts."""
    _act(job_ids, start_job, asked="started", reason=reason)


@job.command(cls=SpeakingCommand)
@click.argument("job_ids", type=int, nargs=-1, required=True)
@REASON_OPTION
def pause(*, job_ids: tuple[int, ...], reason: str) -> None:
    """Pause jobs; each stops at its next batch boundary and keeps its checkpoint."""
    _act(job_ids, pause_job, asked="asked to pause", reason=reason)


@job.command(cls=SpeakingCommand)
@click.argument("job_ids", type=int, nargs=-1, required=True)
@REASON_OPTION
def resume(*, job_ids: tuple[int, ...], reason: str) -> None:
    """Let jobs go on from their checkpoints; a stopped account is let go too."""
    _act(job_ids, resume_job, asked="asked to go on", reason=reason)


@job.command(cls=SpeakingCommand)
@click.argument("job_ids", type=int, nargs=-1, required=True)
@REASON_OPTION
def cancel(*, job_ids: tuple[int, ...], reason: str) -> None:
    """End jobs unfinished; what is stored stays."""
    _act(job_ids, cancel_job, asked="asked to end", reason=reason)


@job.command("retry-failed", cls=SpeakingCommand)
@click.argument("job_ids", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every job that has failed slices.")
@REASON_OPTION
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
            click.echo(f"mdc: job {job_id}: {speak(error).format_message()}", err=True)
            refused = True
            continue
        click.echo(f"Job {job_id}: {count(replayed, 'slice')} will be tried again.")
    if refused:
        raise click.exceptions.Exit(FAILED)


@job.command(cls=SpeakingCommand)
@click.argument("job_id", type=int)
@click.option("--after", "after_id", type=int, default=0, metavar="ID", help="Only later events.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True)
@JSON_OPTION
def events(*, job_id: int, after_id: int, limit: int, as_json: bool) -> None:
    """Show who did what to a job, and when."""
    found = list_events(job_id, after_id=after_id, limit=limit)
    if as_json:
        print_json([event_shape(event) for event in found])
        return
    made = table("event", "at", "who", "through", "did", "before", "after", "why")
    for event in found:
        made.add_row(
            str(event.id),
            f"{event.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z",
            event.actor,
            event.source,
            event.action,
            _facts(event.before),
            _facts(event.after),
            event.reason,
        )
    console = out_console()
    console.print(made)
    if len(found) == limit:
        console.print(f"Later ones: mdc job events {job_id} --after {found[-1].id}")


def _facts(values: dict[str, Any] | None) -> str:
    return ", ".join(f"{key} {value}" for key, value in (values or {}).items())
