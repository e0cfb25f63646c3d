"""Stay with jobs until they stand still, and sum them up."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.domain.states import Outcome
from ingestion.services.open_job import OpenedJob
from ingestion.services.summarize_job import JobSummary, summarize_job
from mdc.cli.follow import follow_job, job_labels
from mdc.cli.output import error_console, out_console, print_json
from mdc.cli.progress_file import ProgressFile
from mdc.cli.shapes import summary_shape
from mdc.cli.spoken import FAILED, INTERRUPTED, SpokenUsage
from mdc.cli.summary_table import render_summary


@dataclass(frozen=True, slots=True)
class Watch:
    """Say how progress is shown; `file` is None where nobody asked for one."""

    verbose: bool = False
    file: ProgressFile | None = None


def begin_watch(*, verbose: bool, progress_file: Path | None, stays: bool) -> Watch:
    """Prepare what shows the progress, before there is any job.

    Raises SpokenUsage where the file cannot be written, or where the command would not stay to
    keep it up to date.
    """
    if progress_file is None:
        return Watch(verbose=verbose)
    if not stays:
        raise SpokenUsage(
            "--progress-file is kept up to date by a command that stays until the job ends; leave"
            " out --no-wait, --draft and --dry-run, or use `mdc job show ID --follow"
            " --progress-file FILE` later"
        )
    return Watch(verbose=verbose, file=ProgressFile(progress_file))


def stay(watch: Watch) -> ProgressFile | nullcontext[None]:
    """Return the context in which jobs are opened and followed: it closes the progress file."""
    return watch.file or nullcontext()


def wait_and_summarize(job_id: int, *, watch: Watch) -> JobSummary:
    """Follow a job until it stands still; Ctrl-C leaves it running and ends the command."""
    console = error_console()
    try:
        labels = job_labels(job_id)
        follow_job(
            job_id,
            console=console,
            labels=labels,
            verbose=watch.verbose,
            on_look=watch.file.watch(labels) if watch.file else lambda progress: None,
        )
    except KeyboardInterrupt:
        console.print(
            f"\nJob {job_id} goes on without you: `mdc job show {job_id} --follow` watches it, "
            f"`mdc job cancel {job_id}` ends it."
        )
        raise click.exceptions.Exit(INTERRUPTED) from None
    return summarize_job(job_id, now=datetime.now(UTC))


def show_summary(summary: JobSummary, *, as_json: bool) -> None:
    """Print a summary for people or as JSON."""
    if as_json:
        print_json(summary_shape(summary))
    else:
        render_summary(summary, out_console())


def exit_code(summaries: Sequence[JobSummary]) -> int:
    """Return 0 where everything asked for was done, else 1."""
    whole = all(one.job.outcome is Outcome.COMPLETE for one in summaries)
    return 0 if whole else FAILED


def announce(opened: OpenedJob, *, as_json: bool) -> None:
    """Say which job there is now, and what to do next."""
    if as_json:
        print_json({"job_id": opened.job_id, "state": opened.state, "existed": opened.existed})
        return
    verb = "start" if opened.state == "draft" else "show"
    click.echo(f"Job {opened.job_id} is {opened.state}. Next: mdc job {verb} {opened.job_id}")
