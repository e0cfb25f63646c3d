"""The JSON that commands print: one function per thing, so that the shapes stay as they are."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ingestion.domain.windows import from_us

if TYPE_CHECKING:
    # A listing must not load what plans and judges.
    from ingestion.domain.gaps import Gap
    from ingestion.services.describe_job import Failure, JobDescription, SeriesProgress
    from ingestion.services.list_jobs import ListedJob
    from ingestion.services.preview_job import Preview
    from ingestion.services.show_coverage import SeriesCoverage
    from ingestion.services.summarize_job import JobSummary, SeriesSummary
    from ingestion.store.absence_reads import AbsenceRow
    from ingestion.store.finding_reads import ListedFinding
    from ingestion.store.job_reads import EventRow, JobRow, SliceTally
    from ingestion.store.series_reads import SeriesRow

Shape = dict[str, Any]


def listed_shape(listed: ListedJob) -> Shape:
    """Shape one line of `job list`."""
    return {**_job(listed.job), "wait_reason": listed.job.wait_reason, **tally_shape(listed.slices)}


def finding_shape(one: ListedFinding) -> Shape:
    """Shape one finding, its evidence in full."""
    return {
        "finding": one.id,
        "kind": one.kind,
        "severity": one.severity,
        "state": one.state,
        "provider": one.provider,
        "symbol": one.symbol or None,
        "timeframe": one.timeframe,
        "start": one.window.start if one.window else None,
        "end": one.window.end if one.window else None,
        "times": one.times,
        "found_at": one.found_at,
        "seen_at": one.seen_at,
        "job": one.job_id,
        "closed_at": one.closed_at,
        "closed_by": one.closed_by or None,
        "reason": one.reason or None,
        "evidence": one.evidence,
    }


def description_shape(description: JobDescription) -> Shape:
    """Shape `job show`."""
    progress, job, spec = description.progress, description.progress.job, description.spec
    retry = progress.next_retry
    return {
        **_job(job),
        "symbols": list(dict.fromkeys(one.symbol for one in spec.series)),
        "start": spec.start,
        "end": spec.end,
        "rate_limit": (
            {"requests": spec.rate_limit.n, "seconds": spec.rate_limit.window}
            if spec.rate_limit
            else None
        ),
        "waits": progress.waits,
        "workers_alive": progress.workers.alive,
        **tally_shape(progress.slices),
        "next_retry": (
            {
                "at": retry.at,
                "tries": retry.tries,
                "error_class": retry.error_class,
                "error": retry.error,
                "slices_waiting": retry.waiting,
            }
            if retry
            else None
        ),
        "freshness_target": job.freshness,
        "deadline": job.started_at + job.deadline if job.started_at and job.deadline else None,
        "series": [_series_progress(one) for one in description.series],
        "failures": [_failure(one) for one in description.failures],
        "error_class": job.error_class or None,
        "error": job.error or None,
    }


def summary_shape(summary: JobSummary) -> Shape:
    """Shape the summary of a backfill."""
    job = summary.job
    return {
        "job_id": job.id,
        "provider": job.provider,
        "kind": job.kind,
        "state": job.state,
        "outcome": job.outcome,
        "start": summary.start,
        "end": summary.end,
        **tally_shape(summary.slices),
        "success_rate": summary.success_rate,
        "seconds": summary.seconds,
        "bars_per_second": summary.bars_per_second,
        "waited_seconds": dict(summary.waited),
        "quarantined": dict(summary.quarantined),
        "series": [_series_summary(one) for one in summary.series],
        "failures": [_failure(one) for one in summary.failures],
        "next_command": summary.next_command,
    }


def preview_shape(preview: Preview) -> Shape:
    """Shape `backfill --dry-run`."""
    return {
        "slices": preview.slices,
        "requests": preview.requests,
        "rows": preview.rows,
        "seconds": preview.seconds,
        "series": [asdict(one) for one in preview.series],
    }


def event_shape(event: EventRow) -> Shape:
    """Shape one line of `job events`."""
    return asdict(event)


def series_shape(series: SeriesRow) -> Shape:
    """Shape what names a series, the same in every listing."""
    return {
        "series_id": series.id,
        "provider": series.provider,
        "symbol": series.symbol,
        "timeframe": series.timeframe,
        "adjustment": series.adjustment,
        "hours": series.hours,
        "anchor": series.anchor,
        "venue": series.venue,
    }


def coverage_shape(coverage: SeriesCoverage, *, absences: bool = False) -> Shape:
    """Shape one line of `coverage`; what was not counted is None."""
    series, report, bars = coverage.series, coverage.report, coverage.bars
    shape = {
        **series_shape(series),
        "start": coverage.window.start if coverage.window else None,
        "end": coverage.window.end if coverage.window else None,
        "watermark": coverage.watermark,
        "first_bar": bars.first if bars else None,
        "last_bar": bars.last if bars else None,
        "bars": bars.bars if bars else None,
        "duplicates": bars.duplicates if bars else None,
        "expected": report.expected,
        "loaded": report.loaded,
        "explained": report.explained,
        "lacking": report.lacking,
        "completeness": report.completeness,
        "gaps": [_gap(gap) for gap in report.gaps],
    }
    if absences:
        shape["absences"] = [_absence(one) for one in coverage.absences]
    return shape


def _job(job: JobRow) -> Shape:
    return {
        "job_id": job.id,
        "workload": job.workload,
        "kind": job.kind,
        "provider": job.provider,
        "timeframes": list(job.timeframes),
        "series_count": job.series_count,
        "symbol_count": job.symbol_count,
        "symbols": list(job.symbols),
        "state": job.state,
        "desired": job.desired,
        "outcome": job.outcome,
        "priority": job.priority,
        "tries": job.tries,
        "retry_class": job.retry_class,
        "retry_delay": job.retry_delay,
        "validate": job.validate,
        "targets": None if job.targets is None else list(job.targets),
        "max_concurrency": job.max_concurrency,
        "slices_per_round": job.slices_per_round,
        "poll_seconds": job.poll_seconds,
        "definition": job.definition,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "planned": job.planned,
    }


def tally_shape(slices: SliceTally) -> Shape:
    """Shape how far slices have come and what they brought."""
    return {"slices": {**_tally(slices), "total": slices.total}, "rows": slices.rows}


def _tally(slices: SliceTally) -> Shape:
    return {
        "ready": slices.ready,
        "leased": slices.leased,
        "done": slices.done,
        "dead": slices.dead,
        "superseded": slices.superseded,
        "cancelled": slices.cancelled,
    }


def _series_progress(one: SeriesProgress) -> Shape:
    checkpoint = one.checkpoint
    return {
        "symbol": one.spec.symbol,
        "timeframe": one.spec.timeframe,
        "adjustment": one.spec.adjustment,
        "start": one.spec.start,
        "end": one.spec.end,
        **tally_shape(one.slices),
        "inserted": one.totals.inserted,
        "unchanged": one.totals.unchanged,
        "revised": one.totals.revised,
        "vanished": one.totals.vanished,
        "most_tries": one.most_tries,
        "checkpoint": (
            {"until": checkpoint.frontier, "ts": checkpoint.ts, "sequence": checkpoint.sequence}
            if checkpoint
            else None
        ),
    }


def _series_summary(one: SeriesSummary) -> Shape:
    return {**asdict(one), "slices": _tally(one.slices)}


def _failure(failure: Failure) -> Shape:
    return {
        "error_class": failure.error_class,
        "slices": failure.slices,
        "series": failure.series,
        "symbols": list(failure.symbols),
        "sample": failure.sample,
        "advice": failure.advice,
    }


def _gap(gap: Gap) -> Shape:
    return {
        "start": from_us(gap.start),
        "end": from_us(gap.end),
        "units": gap.units,
        "kind": gap.kind,
    }


def _absence(absence: AbsenceRow) -> Shape:
    return {
        "start": absence.start,
        "end": absence.end,
        "reason": absence.reason,
        "explains": absence.explains,
        "looks": absence.looks,
        "attempt_id": absence.attempt_id,
        "job_id": absence.job_id,
        "seen_at": absence.seen_at,
        "expires_at": absence.expires_at,
    }
