"""kill -9 of the fetch worker in the midst of its work."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.db import connection
from rich.console import Console

from ingestion.services.watch_job import JobProgress
from mdc.cli.output import count
from mdc.stack.embedded import EmbeddedStack

_WORKER = "fetch"


@dataclass(frozen=True, slots=True)
class InFlight:
    """Name one slice that a process was working on; `last` is its last day."""

    slice_id: int
    pid: int
    symbol: str
    first: date
    last: date


class Strike:
    """Kill the worker once, when enough slices of a job are done and some are in flight."""

    def __init__(self, stack: EmbeddedStack, console: Console, *, at: float) -> None:
        self.struck: tuple[InFlight, ...] = ()
        self.killed: int | None = None
        self.successor: int | None = None
        self._stack = stack
        self._console = console
        self._at = at

    def look(self, progress: JobProgress) -> None:
        """Strike if it is time; afterwards tell who took the dead worker's place."""
        if self.killed is None:
            slices = progress.slices
            if progress.job.planned and slices.done >= self._at * slices.total and slices.leased:
                self._strike(progress.job.id)
        elif self.successor is None:
            self._welcome()

    def _strike(self, job_id: int) -> None:
        processes = self._stack.processes
        pid = processes.get(_WORKER)
        pool = [pid for name, pid in processes.items() if name.startswith(f"{_WORKER}/")]
        if pid is None or not slices_in_flight(job_id, pids=pool):
            return
        os.kill(pid, signal.SIGKILL)
        self.killed = pid
        self.struck = slices_in_flight(job_id, pids=pool)
        children = " and ".join(str(child) for child in pool)
        self._console.print(
            f"kill -9 {pid}: the fetch worker, with its pool processes {children}.",
            style="bold red",
        )
        self._console.print(f"It dies with {count(len(self.struck), 'slice')} in flight:")
        for one in self.struck:
            self._console.print(
                f"  slice {one.slice_id} in process {one.pid}: "
                f"{one.symbol} {one.first} to {one.last}"
            )
        self._console.print("A tick will find their owner dead and give them to somebody else.")

    def _welcome(self) -> None:
        pid = self._stack.processes.get(_WORKER)
        if pid is not None and pid != self.killed:
            self.successor = pid
            self._console.print(f"The supervisor has started a new fetch worker: process {pid}.")


def slices_in_flight(job_id: int, *, pids: Sequence[int]) -> tuple[InFlight, ...]:
    """List the slices of a job that are leased to some processes and of which a request is out."""
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT s.id, e.pid, i.symbol, lower(s."window"), upper(s."window")'
            " - interval '1 microsecond' FROM slice s JOIN executor e ON e.id = s.executor_id"
            " JOIN series r ON r.id = s.series_id JOIN instrument i ON i.id = r.instrument_id"
            " WHERE s.job_id = %s AND s.state = 'leased' AND e.pid = ANY(%s)"
            " AND s.begun_at <= clock_timestamp() ORDER BY s.id",
            [job_id, list(pids)],
        )
        return tuple(
            InFlight(slice_id, pid, symbol, first.date(), last.date())
            for slice_id, pid, symbol, first, last in cursor.fetchall()
        )


def count_redone(slices: Sequence[InFlight]) -> tuple[int, int]:
    """Return how many of these slices are done now, and how many had to be fetched again.

    The others were in a transaction that PostgreSQL finished although its client was dead.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT 1 FROM attempt a"
            " WHERE a.slice_id = s.id AND a.outcome = 'crashed'))"
            " FROM slice s WHERE s.id = ANY(%s) AND s.state = 'done'",
            [[one.slice_id for one in slices]],
        )
        done, redone = cursor.fetchone()
    return int(done), int(redone)
