"""Follow a job until it stands still: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from django.db import connection
from django.db.utils import InterfaceError, OperationalError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ingestion.domain.states import JobState, Workload
from ingestion.services.describe_job import read_spec
from ingestion.services.report_finished import report_finished
from ingestion.services.watch_job import NOBODY_CAME, JobProgress, watch_job
from ingestion.store.series_reports import SeriesReport
from mdc.cli.output import count, span
from mdc.cli.spoken import Spoken

_SERIES_WITH_BARS: Final = 12
_LOOK_EVERY: Final = 0.4
_LINE_EVERY: Final = 2.0
# A big job's own size must not make the looking expensive.
_SHARE_OF_TIME: Final = 0.1
# How long a restarting worker or PostgreSQL may be away before waiting on is pointless.
_GIVE_UP_AFTER: Final = 60.0

Show = Callable[[JobProgress], None]
Labels = Mapping[int, tuple[str, str]]


def job_labels(job_id: int) -> Labels:
    """Return symbol and timeframe of each series of a job; raises UnknownJob."""
    return {one.series_id: (one.symbol, one.timeframe.value) for one in read_spec(job_id).series}


def follow_job(
    job_id: int,
    *,
    console: Console,
    labels: Labels | None = None,
    verbose: bool = False,
    on_look: Show = lambda progress: None,
) -> JobProgress:
    """Show a job's progress until it ends, is paused or is a draft; return the last look.

    `verbose` adds a line for each series that the job is done with. `on_look` is called after
    each look. Raises Spoken when nobody works on the job any more or its account is stopped.
    """
    labels = job_labels(job_id) if labels is None else labels
    display = _bars if console.is_terminal else _lines
    finished = FinishedSeries(console, labels) if verbose else None
    warned = False
    with display(console, labels) as show:
        while True:
            began = time.monotonic()
            progress = _look(job_id, console)
            if finished:
                finished.look(progress)
            show(progress)
            on_look(progress)
            if _stands_still(progress):
                return progress
            _check_account(progress)
            if progress.unattended > NOBODY_CAME and not warned:
                console.print(f"No worker takes up job {job_id}; run `mdc up`.")
            warned = progress.unattended > NOBODY_CAME
            _check_attended(progress)
            took = time.monotonic() - began
            time.sleep(max(_LOOK_EVERY, took / _SHARE_OF_TIME))


def _stands_still(progress: JobProgress) -> bool:
    state = progress.job.state
    return state.is_final or state in (JobState.PAUSED, JobState.DRAFT)


def _check_account(progress: JobProgress) -> None:
    job = progress.job
    if job.circuit != "closed":
        raise Spoken(
            f"{job.provider} is stopped: {job.circuit_reason.rstrip('.')}. "
            f"Then `mdc job resume {job.id}` goes on from here."
        )


def _check_attended(progress: JobProgress) -> None:
    if progress.unattended.total_seconds() > _GIVE_UP_AFTER:
        job_id = progress.job.id
        raise Spoken(
            f"no worker has taken up job {job_id} for {_GIVE_UP_AFTER:.0f} seconds; run `mdc up`. "
            f"The job keeps its place and goes on by itself; `mdc job show {job_id} --follow` "
            "watches it."
        )


def _look(job_id: int, console: Console) -> JobProgress:
    """Look once; a PostgreSQL that restarts is waited for."""
    deadline = time.monotonic() + _GIVE_UP_AFTER
    told = False
    while True:
        try:
            return watch_job(job_id)
        except (OperationalError, InterfaceError):
            connection.close()
            if time.monotonic() > deadline:
                raise
            if not told:
                console.print("PostgreSQL does not answer; waiting for it.")
                told = True
            time.sleep(1.0)


@contextmanager
def _lines(console: Console, labels: Labels) -> Iterator[Show]:
    """Print a line when something has changed, but not more often than people read."""
    last_line, last_at = "", 0.0

    def show(progress: JobProgress) -> None:
        nonlocal last_line, last_at
        line = _line(progress)
        now = time.monotonic()
        if line != last_line and (now - last_at >= _LINE_EVERY or _stands_still(progress)):
            console.print(line)
            last_line, last_at = line, now

    yield show


def _line(progress: JobProgress) -> str:
    slices = progress.slices
    total = f"{slices.total:,}" if progress.job.planned else f"{slices.total:,}+"
    parts = [
        f"job {progress.job.id} {progress.job.state}: {slices.settled:,} of {total} slices",
        count(slices.rows, "bar"),
    ]
    if slices.dead:
        parts.append(f"{slices.dead:,} failed")
    if progress.waits:
        parts.append(progress.waits)
    return ", ".join(parts)


@contextmanager
def _bars(console: Console, labels: Labels) -> Iterator[Show]:
    """Draw one bar for the job and, where they are few, one for each series."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[done]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[waits]}", markup=False),
    )
    with Progress(*columns, console=console) as drawn:
        whole = drawn.add_task("all", total=None, done="", waits="")
        single = labels if 1 < len(labels) <= _SERIES_WITH_BARS else {}
        tasks: dict[int, TaskID] = {
            series_id: drawn.add_task("/".join(label), total=None, done="", waits="")
            for series_id, label in single.items()
        }

        def show(progress: JobProgress) -> None:
            planned = progress.job.planned
            tallies = {whole: progress.slices} | {
                task: progress.series[series_id]
                for series_id, task in tasks.items()
                if series_id in progress.series
            }
            for task, slices in tallies.items():
                drawn.update(
                    task,
                    total=slices.total if planned else None,
                    completed=slices.settled,
                    done=f"{slices.settled:,}/{slices.total:,} {count(slices.rows, 'bar')}",
                    waits=progress.waits if task == whole else "",
                )

        yield show


class FinishedSeries:
    """Print `ES/1d: 252 bars in 1.8 s` for each series once, when the job is done with it."""

    def __init__(self, console: Console, labels: Labels) -> None:
        self._console = console
        self._open = dict(labels)

    def look(self, progress: JobProgress) -> None:
        """Print the series that have finished since the last look, in the order asked for."""
        if progress.job.workload is Workload.REALTIME:
            return
        reports = report_finished(progress, series_ids=self._open)
        for series_id, report in reports.items():
            label = "/".join(self._open.pop(series_id))
            self._console.print(f"{label}: {_outcome(report)}", soft_wrap=True)


def _outcome(report: SeriesReport) -> str:
    if not report.slices:
        return "nothing to fetch"
    parts = [f"{count(report.bars, 'bar')} in {span(report.seconds)}"]
    if report.revised:
        parts.append(f"{report.revised:,} revised")
    if report.refused:
        parts.append(f"{count(report.refused, 'row')} refused")
    if report.undone:
        parts.append(f"{report.undone:,} of {count(report.slices, 'slice')} left undone")
    if report.failed:
        failed = f"{report.failed:,} of {count(report.slices, 'slice')} failed"
        parts.append(f"{failed} ({report.error_class}: {report.error})")
    return ", ".join(parts)
