"""`mdc findings accept | repair | reopen`."""

from __future__ import annotations

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion import clock
from ingestion.domain.errors import BadRequest, MdcError
from ingestion.services.accept_finding import accept_finding
from ingestion.services.reopen_finding import reopen_finding
from ingestion.services.repair_finding import repair_finding
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.errors import FAILED, SpeakingCommand
from mdc.cli.output import count

_IDS = click.argument("finding_ids", type=int, nargs=-1, required=True)


@click.command(cls=SpeakingCommand)
@_IDS
@click.option("--reason", required=True, help="Why they stay as they are.")
@click.option(
    "--delete-bars",
    is_flag=True,
    help="Delete the bars that vanished at the provider; as of earlier they stay readable.",
)
def accept(*, finding_ids: tuple[int, ...], reason: str, delete_bars: bool) -> None:
    """Close findings with a reason; the same is not opened again unless it grows worse."""
    refused = False
    for finding_id in dict.fromkeys(finding_ids):
        try:
            deleted = accept_finding(
                finding_id,
                reason=reason,
                actor=current_actor(),
                now=clock.now(),
                delete_bars=delete_bars,
            )
        except BadRequest:
            raise
        except MdcError as error:
            click.echo(f"mdc: {error.message}", err=True)
            refused = True
            continue
        gone = f"; {count(deleted, 'bar')} deleted" if delete_bars else ""
        click.echo(f"Finding {finding_id} is accepted{gone}.")
    if refused:
        raise click.exceptions.Exit(FAILED)


@click.command(cls=SpeakingCommand)
@_IDS
@options.reason()
def repair(*, finding_ids: tuple[int, ...], reason: str) -> None:
    """Fetch again what findings are about, and compare: one job per provider and bar length."""
    repairs = repair_finding(finding_ids, now=clock.now(), actor=current_actor(), reason=reason)
    for one in repairs:
        click.echo(
            f"Job {one.job_id} repairs {count(len(one.finding_ids), 'finding')}"
            f" ({', '.join(str(finding_id) for finding_id in one.finding_ids)});"
            f" follow it with `mdc job show {one.job_id} --follow`."
        )


@click.command(cls=SpeakingCommand)
@_IDS
@options.reason()
def reopen(*, finding_ids: tuple[int, ...], reason: str) -> None:
    """Open findings again that were closed too early."""
    refused = False
    for finding_id in dict.fromkeys(finding_ids):
        try:
            reopen_finding(finding_id, actor=current_actor(), reason=reason)
        except MdcError as error:
            click.echo(f"mdc: {error.message}", err=True)
            refused = True
            continue
        click.echo(f"Finding {finding_id} is open again.")
    if refused:
        raise click.exceptions.Exit(FAILED)
