"""Say where a job stands right now, cheaply enough to be asked every second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from ingestion.domain.errors import UnknownJob
from ingestion.domain.states import Desired, JobState
from ingestion.store import job_reads
from ingestion.store.job_reads import JobRow, NextRetry, SliceTally, WorkerPulse

# A worker at work writes its heartbeat at least every five seconds; an idle one need not.
WORKER_SILENCE = timedelta(seconds=15)
# Due work that nobody has taken up for so long means that nobody is there.
NOBODY_CAME = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class JobProgress:
    """Hold a job's state, tallies and waiting reason at `as_of`, PostgreSQL's clock.

    `waits` is one clause for people, empty while the job works or has ended. `next_retry` is
    the earliest among slices that have failed before. `unattended` is how long due work has lain
    there while no worker was heard of.
    """

    job: JobRow
    slices: SliceTally
    series: Mapping[int, SliceTally]
    workers: WorkerPulse
    next_retry: NextRetry | None
    unattended: timedelta
    waits: str
    as_of: datetime


def watch_job(job_id: int) -> JobProgress:
    """Return the progress of a job; raises UnknownJob."""
    with transaction.atomic():
        jobs = job_reads.select_jobs(ids=[job_id], limit=1)
        if not jobs:
            raise UnknownJob(job_id)
        series = job_reads.tally_series(job_id)
        retry = job_reads.next_retry(job_id)
        due = job_reads.earliest_due(job_id)
        workers = job_reads.worker_pulse(within=WORKER_SILENCE)
    job = jobs[0]
    slices = sum(series.values(), SliceTally())
    unattended = _unattended(job, due=due, workers=workers)
    return JobProgress(
        job=job,
        slices=slices,
        series=series,
        workers=workers,
        next_retry=retry,
        unattended=unattended,
        waits=""
        if job.state.is_final
        else _asked_of_people(job)
        or _stands_still(job, unattended=unattended)
        or _paced(job, slices=slices, retry=retry, now=workers.now),
        as_of=workers.now,
    )


def _unattended(job: JobRow, *, due: datetime | None, workers: WorkerPulse) -> timedelta:
    """Tell for how long nobody has come for work that could be done."""
    active = job.state in (JobState.QUEUED, JobState.RUNNING) and job.circuit == "closed"
    held_back = (
        until is not None and until > workers.now for until in (job.blocked_until, job.paced_until)
    )
    if not active or workers.alive or any(held_back):
        return timedelta(0)
    since = job.desired_at if job.state is JobState.QUEUED else due
    return max(timedelta(0), workers.now - since) if since is not None else timedelta(0)


def _asked_of_people(job: JobRow) -> str:
    """Name a wait that only a person ends, or that a person began."""
    if job.state is JobState.DRAFT:
        return f"`mdc job start {job.id}` starts it"
    if job.desired is Desired.CANCEL:
        return "ends at the next batch boundary"
    if job.state is JobState.PAUSED:
        return f"`mdc job resume {job.id}` goes on from the checkpoint"
    if job.desired is Desired.PAUSE:
        return "pauses at the next batch boundary"
    return ""


def _stands_still(job: JobRow, *, unattended: timedelta) -> str:
    if job.circuit != "closed":
        return f"{job.provider} is stopped: {job.circuit_reason}"
    if unattended > NOBODY_CAME:
        return "no worker; run `mdc up`"
    return ""


def _paced(job: JobRow, *, slices: SliceTally, retry: NextRetry | None, now: datetime) -> str:
    if job.blocked_until is not None and job.blocked_until > now:
        return f"throttled by {job.provider} until {_clock(job.blocked_until)}"
    if slices.leased:
        return ""
    if retry is not None and retry.waiting == slices.ready and retry.at > now:
        return f"retry at {_clock(retry.at)} after {retry.error_class}"
    if job.wait_until is None:
        return job.wait_reason
    # What was to last until a moment that has passed is no longer so.
    return f"{job.wait_reason} until {_clock(job.wait_until)}" if job.wait_until > now else ""


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}Z"
