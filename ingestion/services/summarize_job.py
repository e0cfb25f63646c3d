"""Sum up what a job achieved: per series, over all, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.db import transaction

from ingestion.domain.errors import UnknownJob
from ingestion.domain.gaps import GapReport
from ingestion.domain.spec import JobSpec, SeriesSpec
from ingestion.domain.states import JobState
from ingestion.domain.windows import Window
from ingestion.services.describe_job import Failure, describe_failures, read_spec
from ingestion.services.find_gaps import judge_series
from ingestion.store import attempt_reads, job_reads, series_reads
from ingestion.store.attempt_reads import AttemptTotals
from ingestion.store.job_reads import JobRow, SliceTally
from ingestion.store.series_reads import BarCount, SeriesRow
from providers.registry import FILES
from providers.types import Hours

MOST_SYMBOLS_NAMED = 20


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """Sum up one series of a job over the job's window.

    `expected`, `gaps` and `explained` count sessions (weeks, months); `bars` and `duplicates`
    count stored rows; the rest counts what this job did. `seconds` is from its first request to
    its last commit.
    """

    provider: str
    symbol: str
    timeframe: str
    slices: SliceTally
    expected: int
    gaps: int
    explained: int
    bars: int
    duplicates: int
    inserted: int
    unchanged: int
    revised: int
    vanished: int
    quarantined: int
    requests: int
    throttled: int
    retries: int
    crashes: int
    seconds: float
    bars_per_second: float


@dataclass(frozen=True, slots=True)
class JobSummary:
    """Sum up a job; `start` and `end` are as asked, `success_rate` is None until a slice ended.

    `waited` is seconds by cause, summed over slices that waited side by side; `quarantined` is
    rows by reason; `seconds` is wall time from the start until the end or now.
    """

    job: JobRow
    start: datetime
    end: datetime | None
    slices: SliceTally
    series: tuple[SeriesSummary, ...]
    waited: Mapping[str, float]
    quarantined: Mapping[str, int]
    failures: tuple[Failure, ...]
    success_rate: float | None
    seconds: float
    bars_per_second: float
    next_command: str


def summarize_job(job_id: int, *, now: datetime) -> JobSummary:
    """Return the summary of a job in any state; raises UnknownJob."""
    with transaction.atomic():
        jobs = job_reads.select_jobs(ids=[job_id], limit=1)
        if not jobs:
            raise UnknownJob(job_id)
        job, spec = jobs[0], read_spec(job_id)
        series = _summarize_series(job_id, spec=spec, now=now)
        waited = attempt_reads.sum_waits(job_id)
        quarantined = attempt_reads.count_quarantined(job_id)
        failures = describe_failures(job_id)
    slices = sum((one.slices for one in series), SliceTally())
    ended = slices.done + slices.dead
    rows = sum(one.inserted + one.unchanged + one.revised for one in series)
    seconds = ((job.ended_at or now) - job.started_at).total_seconds() if job.started_at else 0.0
    return JobSummary(
        job=job,
        start=spec.start,
        end=spec.end,
        slices=slices,
        series=series,
        waited=waited,
        quarantined=quarantined,
        failures=failures,
        success_rate=slices.done / ended if ended else None,
        seconds=seconds,
        bars_per_second=_rate(rows, seconds),
        next_command=_next_command(job, spec=spec, series=series),
    )


def _summarize_series(job_id: int, *, spec: JobSpec, now: datetime) -> tuple[SeriesSummary, ...]:
    windows = {one.series_id: _window(one, spec=spec, now=now) for one in spec.series}
    tallies = job_reads.tally_series(job_id)
    attempts = attempt_reads.total_attempts(job_id)
    asked = {key: one for key, one in windows.items() if one is not None}
    bars = series_reads.count_bars(asked)
    rows = series_reads.select_series(ids=list(windows))
    return tuple(
        _series_summary(
            one.series,
            slices=tallies.get(one.series.id, SliceTally()),
            totals=attempts.get(one.series.id, AttemptTotals()),
            bars=bars.get(one.series.id, BarCount()),
            report=one.report,
        )
        for one in judge_series(rows, now=now, windows=asked)
    )


def _window(one: SeriesSpec, *, spec: JobSpec, now: datetime) -> Window | None:
    """Return what the job could ask of a series; a polling job goes on until now."""
    if one.start is None or one.end is None:
        return None
    end = one.end if spec.end is not None else max(one.end, now)
    return Window(one.start, end)


def _series_summary(
    row: SeriesRow,
    *,
    slices: SliceTally,
    totals: AttemptTotals,
    bars: BarCount,
    report: GapReport,
) -> SeriesSummary:
    seconds = 0.0
    if totals.first_at is not None and totals.last_at is not None:
        seconds = max(0.0, (totals.last_at - totals.first_at).total_seconds())
    return SeriesSummary(
        provider=row.provider,
        symbol=row.symbol,
        timeframe=row.timeframe.value,
        slices=slices,
        expected=report.expected,
        gaps=report.lacking,
        explained=report.explained,
        bars=bars.bars,
        duplicates=bars.duplicates,
        inserted=totals.inserted,
        unchanged=totals.unchanged,
        revised=totals.revised,
        vanished=totals.vanished,
        quarantined=totals.quarantined,
        requests=totals.requests,
        throttled=totals.throttled,
        retries=totals.retries,
        crashes=totals.crashes,
        seconds=seconds,
        bars_per_second=_rate(totals.inserted + totals.unchanged + totals.revised, seconds),
    )


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def _next_command(job: JobRow, *, spec: JobSpec, series: tuple[SeriesSummary, ...]) -> str:
    """Name the one command that a person most likely wants now."""
    if job.state is JobState.DRAFT:
        return f"mdc job start {job.id}"
    if job.state is JobState.PAUSED or job.circuit != "closed":
        return f"mdc job resume {job.id}"
    if not job.state.is_final:
        return f"mdc job show {job.id} --follow"
    if any(one.slices.dead for one in series):
        return f"mdc job retry-failed {job.id}"
    if job.error:
        return f"mdc job show {job.id}"
    if job.state is JobState.CANCELLED or any(one.gaps for one in series):
        return _same_again(spec)
    return f"mdc export {_named(spec)} --format csv -o bars.csv"


def _same_again(spec: JobSpec) -> str:
    """Spell the request once more: it asks only for what is still lacking."""
    if spec.provider.startswith(FILES):
        return f"mdc import {spec.provider.removeprefix(FILES)}"
    # Beyond a handful of symbols an update of all that is stored is what a person can type.
    verb = "update" if _are_many(spec) else f"backfill {spec.provider}"
    command = f"mdc {verb} {_named(spec)} --start {_spell(spec.start)}"
    if spec.end is None:
        return command
    # People give the last day, windows end after it.
    whole_days = spec.end.time() == time()
    return f"{command} --end {_spell(spec.end - timedelta(days=1) if whole_days else spec.end)}"


def _named(spec: JobSpec) -> str:
    """Spell the series of a job as options: by symbol, or by provider where they are many."""
    symbols = dict.fromkeys(one.symbol for one in spec.series)
    timeframes = ",".join(dict.fromkeys(one.timeframe.value for one in spec.series))
    chosen = f"--provider {spec.provider}" if _are_many(spec) else f"--symbols {','.join(symbols)}"
    extended = any(one.hours is Hours.EXTENDED for one in spec.series)
    return f"{chosen} --timeframe {timeframes}{' --hours extended' if extended else ''}"


def _are_many(spec: JobSpec) -> bool:
    return len({one.symbol for one in spec.series}) > MOST_SYMBOLS_NAMED


def _spell(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}" if moment.time() == time() else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
