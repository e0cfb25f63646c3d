"""Stay with jobs until they stand still, and sum them up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from django.db.utils import InterfaceError, OperationalError

from ingestion.domain.states import Outcome
from ingestion.services.open_job import OpenedJob
from ingestion.services.summarize_job import JobSummary, summarize_job
from ingestion.services.watch_job import JobProgress, watch_job
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


def wait_and_summarize(job_ids: Sequence[int], *, watch: Watch) -> Iterator[JobSummary]:
    """Follow jobs one after the other and sum each up once it stands still.

    They all work meanwhile. Ctrl-C leaves them running and ends the command.
    """
    labels = {job_id: job_labels(job_id) for job_id in job_ids}
    for position, job_id in enumerate(job_ids):
        others = job_ids[position + 1 :]

        def look(progress: JobProgress, others: Sequence[int] = others) -> None:
            if watch.file:
                seen = [progress, *_glance(others)]
                watch.file.look((one, labels[one.job.id]) for one in seen)

        try:
            follow_job(
                job_id,
                console=error_console(),
                labels=labels[job_id],
                verbose=watch.verbose,
                on_look=look,
            )
        except KeyboardInterrupt:
            _take_leave(job_ids[position:])
            raise click.exceptions.Exit(INTERRUPTED) from None
        yield summarize_job(job_id, now=datetime.now(UTC))


def sum_up(job_ids: Sequence[int], *, watch: Watch, as_json: bool) -> list[JobSummary]:
    """Stay with jobs and return what came of each; people read it as each one ends."""
    summaries = []
    for summary in wait_and_summarize(job_ids, watch=watch):
        summaries.append(summary)
        if not as_json:
            render_summary(summary, out_console())
    return summaries


def _glance(job_ids: Sequence[int]) -> list[JobProgress]:
    """Look at jobs whose turn has not come; a PostgreSQL that restarts is left to the next look."""
    try:
        return [watch_job(job_id) for job_id in job_ids]
    except (OperationalError, InterfaceError):
        return []


def _take_leave(job_ids: Sequence[int]) -> None:
    console = error_console()
    console.print()
    for job_id in job_ids:
        console.print(
            f"Job {job_id} goes on without you: `mdc job show {job_id} --follow` watches it, "
            f"`mdc job cancel {job_id}` ends it."
        )


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
