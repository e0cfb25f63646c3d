"""Say what became of the series that a job is done with."""

from __future__ import annotations

from collections.abc import Iterable

from ingestion.services.watch_job import JobProgress
from ingestion.store import series_reports
from ingestion.store.job_reads import SliceTally
from ingestion.store.series_reports import SeriesReport


def is_finished(progress: JobProgress, series_id: int) -> bool:
    """Tell whether the job has nothing left to do for a series."""
    if progress.job.state.is_final:
        return True
    slices = progress.series.get(series_id, SliceTally())
    return progress.job.planned and slices.settled == slices.total


def report_finished(progress: JobProgress, *, series_ids: Iterable[int]) -> dict[int, SeriesReport]:
    """Report those of the series that are finished; one without any slice had nothing to fetch."""
    finished = [one for one in series_ids if is_finished(progress, one)]
    if not finished:
        return {}
    known = series_reports.report_series(progress.job.id, series_ids=finished)
    return {one: known.get(one, _nothing(one)) for one in finished}


def _nothing(series_id: int) -> SeriesReport:
    return SeriesReport(
        series_id=series_id,
        bars=0,
        refused=0,
        revised=0,
        requests=0,
        slices=0,
        failed=0,
        undone=0,
        error_class="",
        error="",
        seconds=0.0,
    )
