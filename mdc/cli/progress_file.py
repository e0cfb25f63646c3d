"""`--progress-file`: the state of jobs as JSON, for programs that watch from outside.

The file holds one object and is replaced whole: who reads it always reads valid JSON.

    version     1; a key that changes its meaning raises it, a new key does not
    at          when this was true, ISO 8601 in UTC
    state       opening: no job yet; running: being followed; ended: nobody writes here any more
    exit_code   of the command once it has ended, else null
    error       why the command ended before its jobs did, else null
    jobs        one object per job: job_id, provider, kind, state, desired, outcome, waits, error,
                planned (false while slices may still be added), slices (ready, leased, done, dead,
                superseded, cancelled, total), rows, and series: one object each with symbol,
                timeframe, state (waiting, working, done, failed), slices, rows
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

import click

from ingestion.domain.states import JobState
from ingestion.services.watch_job import JobProgress
from ingestion.store.job_reads import SliceTally
from mdc.cli.output import error_console, to_json
from mdc.cli.shapes import Shape, tally_shape
from mdc.cli.spoken import FAILED, INTERRUPTED, SpokenUsage

VERSION: Final = 1
Labels = Mapping[int, tuple[str, str]]


class ProgressFile:
    """Write the progress of one command's jobs; a context that closes the file as ended.

    Raises SpokenUsage where nothing can be written, before there is any job. A write that fails
    later is told once and tried again at the next look: no job ends for it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser().resolve()
        self._given = path
        self._jobs: dict[int, Shape] = {}
        self._told = False
        if self._path.exists() and not self._path.is_file():
            raise SpokenUsage(f"{path} is no ordinary file; name one after --progress-file")
        try:
            self._write(self._document("opening"))
        except OSError as error:
            raise SpokenUsage(
                f"cannot write {path}: {error.strerror or error}; name another place after"
                " --progress-file"
            ) from error

    def __enter__(self) -> ProgressFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        code, why = _ending(error)
        self._try(self._document("ended", exit_code=code, error=why))

    def look(self, looks: Iterable[tuple[JobProgress, Labels]]) -> None:
        """Write what a look at some jobs has shown; the others stay as they were."""
        at = None
        for progress, labels in looks:
            self._jobs[progress.job.id] = job_shape(progress, labels)
            at = progress.as_of
        self._try(self._document("running", at=at))

    def _document(
        self,
        state: str,
        *,
        at: datetime | None = None,
        exit_code: int | None = None,
        error: str | None = None,
    ) -> Shape:
        return {
            "version": VERSION,
            "at": at or datetime.now(UTC),
            "state": state,
            "exit_code": exit_code,
            "error": error,
            "jobs": list(self._jobs.values()),
        }

    def _try(self, document: Shape) -> None:
        try:
            self._write(document)
        except OSError as error:
            if not self._told:
                error_console().print(
                    f"Cannot write {self._given}: {error.strerror or error}; the job goes on.",
                    soft_wrap=True,
                )
            self._told = True

    def _write(self, document: Shape) -> None:
        descriptor, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(to_json(document) + "\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(_usual_mode())
            Path(name).replace(self._path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(name).unlink()
            raise


def job_shape(progress: JobProgress, labels: Labels) -> Shape:
    """Shape one job as the file shows it."""
    job = progress.job
    return {
        "job_id": job.id,
        "provider": job.provider,
        "kind": job.kind,
        "state": job.state,
        "desired": job.desired,
        "outcome": job.outcome,
        "waits": progress.waits,
        "error": job.error or None,
        "planned": job.planned,
        **tally_shape(progress.slices),
        "series": [
            {
                "symbol": symbol,
                "timeframe": timeframe,
                "state": _series_state(progress, series_id),
                **tally_shape(progress.series.get(series_id, SliceTally())),
            }
            for series_id, (symbol, timeframe) in labels.items()
        ],
    }


def _series_state(progress: JobProgress, series_id: int) -> str:
    slices = progress.series.get(series_id, SliceTally())
    if slices.dead:
        return "failed"
    if progress.job.state is JobState.COMPLETED or (
        progress.job.planned and slices.settled == slices.total
    ):
        return "done"
    return "working" if slices.leased or slices.settled else "waiting"


def _ending(error: BaseException | None) -> tuple[int, str | None]:
    match error:
        case None:
            return 0, None
        case click.exceptions.Exit():
            return error.exit_code, None
        case click.ClickException():
            return error.exit_code, error.format_message()
        case KeyboardInterrupt() | click.exceptions.Abort():
            return INTERRUPTED, None
        case _:
            return FAILED, str(error)


def _usual_mode() -> int:
    """Return the mode that an ordinary new file gets here; a draft is private."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
