"""Describe one job completely: what it is, where it stands, and why it waits."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from ingestion.domain.advice import advice_for
from ingestion.domain.errors import UnknownJob
from ingestion.domain.spec import JobSpec, SeriesSpec
from ingestion.services.watch_job import JobProgress, watch_job
from ingestion.store import attempt_reads, job_reads
from ingestion.store.attempt_reads import AttemptTotals
from ingestion.store.job_reads import CheckpointRow, SliceTally


@dataclass(frozen=True, slots=True)
class SeriesProgress:
    """Say how far a job has come in one series, and what it has done to the bars.

    `most_tries` is by its unluckiest slice.
    """

    spec: SeriesSpec
    slices: SliceTally
    totals: AttemptTotals
    most_tries: int
    checkpoint: CheckpointRow | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Gather failed slices of one error class.

    `symbols` are the first few concerned, `sample` is the newest error, `advice` one clause.
    """

    error_class: str
    slices: int
    series: int
    symbols: tuple[str, ...]
    sample: str
    advice: str


@dataclass(frozen=True, slots=True)
class JobDescription:
    """Hold everything that is known of one job."""

    progress: JobProgress
    spec: JobSpec
    series: tuple[SeriesProgress, ...]
    failures: tuple[Failure, ...]


def describe_job(job_id: int) -> JobDescription:
    """Return the description of a job; raises UnknownJob."""
    with transaction.atomic():
        progress = watch_job(job_id)
        spec = read_spec(job_id)
        tries = job_reads.most_tries(job_id)
        totals = attempt_reads.total_attempts(job_id)
        checkpoints = job_reads.select_checkpoints(job_id)
        failures = describe_failures(job_id)
    return JobDescription(
        progress=progress,
        spec=spec,
        series=tuple(
            SeriesProgress(
                spec=one,
                slices=progress.series.get(one.series_id, SliceTally()),
                totals=totals.get(one.series_id, AttemptTotals()),
                most_tries=tries.get(one.series_id, 0),
                checkpoint=checkpoints.get(one.series_id),
            )
            for one in spec.series
        ),
        failures=failures,
    )


def read_spec(job_id: int) -> JobSpec:
    """Return what a job was asked to do; raises UnknownJob."""
    stored = job_reads.select_spec(job_id)
    if stored is None:
        raise UnknownJob(job_id)
    return JobSpec.from_json(stored)


def describe_failures(job_id: int) -> tuple[Failure, ...]:
    """Group the failed slices of a job by error class, with what to do about each."""
    return tuple(
        Failure(
            error_class=group.error_class,
            slices=group.slices,
            series=group.series,
            symbols=group.symbols,
            sample=group.sample,
            advice=advice_for(group.error_class),
        )
        for group in job_reads.group_failures(job_id)
    )
