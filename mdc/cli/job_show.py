"""`mdc job show`."""

from __future__ import annotations

from pathlib import Path

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.services.describe_job import describe_job
from ingestion.services.watch_job import watch_job
from mdc.cli import options
from mdc.cli.errors import SpeakingCommand, SpokenUsage
from mdc.cli.job_view import render_description
from mdc.cli.output import out_console, print_json
from mdc.cli.shapes import description_shape
from mdc.cli.waiting import begin_watch, exit_code, show_summary, stay, wait_and_summarize


@click.command(cls=SpeakingCommand)
@click.argument("job_id", type=int)
@click.option("--follow", is_flag=True, help="Stay until the job ends, then sum it up.")
@options.following()
@options.as_json("Print JSON.")
def show(
    *, job_id: int, follow: bool, verbose: bool, progress_file: Path | None, as_json: bool
) -> None:
    """Show one job: what it does, where it stands, why it waits, what failed."""
    if follow:
        watch_job(job_id)
        watch = begin_watch(verbose=verbose, progress_file=progress_file, stays=True)
        with stay(watch):
            (summary,) = wait_and_summarize([job_id], watch=watch)
            show_summary(summary, as_json=as_json)
            raise click.exceptions.Exit(exit_code([summary]))
    if verbose or progress_file is not None:
        raise SpokenUsage("--verbose and --progress-file go with --follow; add it")
    description = describe_job(job_id)
    if as_json:
        print_json(description_shape(description))
    else:
        render_description(description, out_console())
