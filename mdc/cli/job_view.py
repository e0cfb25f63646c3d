"""Render `mdc job show`."""

from __future__ import annotations

from typing import Final

from rich.console import Console

from ingestion.services.describe_job import JobDescription, SeriesProgress
from ingestion.services.watch_job import JobProgress
from mdc.cli.output import NOTHING, count, span, table, when
from mdc.cli.summary_table import failure_lines

SERIES_SHOWN: Final = 40
_WRITTEN: Final = ("inserted", "unchanged", "revised", "vanished")


def render_description(description: JobDescription, console: Console) -> None:
    """Print the facts of a job, its series with their checkpoints, and its failures."""
    facts = _identity(description) | _standing(description.progress)
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        console.print(f"{name:<{width}}  {value}", soft_wrap=True)
    console.print()
    _render_series(description, console)
    for failure in description.failures:
        for line in failure_lines(failure):
            console.print(line, soft_wrap=True)
    if description.failures:
        console.print(f"Next: mdc job retry-failed {description.progress.job.id}")


def _identity(description: JobDescription) -> dict[str, str]:
    job, spec = description.progress.job, description.spec
    symbols = list(dict.fromkeys(one.symbol for one in spec.series))
    more = len(symbols) - SERIES_SHOWN
    limit = spec.rate_limit
    return {
        "job": str(job.id),
        "workload": str(job.workload),
        "kind": str(job.kind),
        "provider": job.provider,
        "symbols": ", ".join(symbols[:SERIES_SHOWN]) + (f" and {more} more" if more > 0 else ""),
        "timeframe": ", ".join(job.timeframes),
        "from": when(spec.start),
        "until": f"{when(spec.end)} (excluded)" if spec.end else "open end",
        "asks every": span(job.poll_seconds) if job.poll_seconds else NOTHING,
        "priority": str(job.priority),
        "own rate limit": f"{limit.n} per {span(limit.window.total_seconds())}"
        if limit
        else NOTHING,
        "concurrency": f"{job.max_concurrency} slices, {job.slices_per_round} a round",
        "validation": "full" if job.validate else "only what no table can hold is refused",
        "targets": _targets(job.targets),
    }


def _targets(names: tuple[str, ...] | None) -> str:
    return "all that match" if names is None else ", ".join(names) or "none"


def _standing(progress: JobProgress) -> dict[str, str]:
    job, slices, retry = progress.job, progress.slices, progress.next_retry
    planned = "" if job.planned else " planned so far"
    deadline = job.started_at + job.deadline if job.started_at and job.deadline else None
    return {
        "state": f"{job.state} ({job.outcome})" if job.outcome else str(job.state),
        "desired": str(job.desired),
        "waits": progress.waits or NOTHING,
        "progress": f"{slices.settled:,} of {count(slices.total, 'slice')}{planned}, "
        f"{count(slices.rows, 'bar')}",
        "slices": f"{slices.ready:,} ready, {slices.leased:,} at work, {slices.done:,} done, "
        f"{slices.dead:,} failed, {slices.cancelled:,} cancelled",
        "tries": f"at most {job.tries} a slice",
        "retry class": job.retry_class
        + (f", from {span(job.retry_delay)}" if job.retry_delay is not None else ""),
        "next retry": (
            f"{when(retry.at)} ({retry.error_class}, {count(retry.waiting, 'slice')} waiting)"
            if retry
            else NOTHING
        ),
        "freshness target": (
            f"{span(job.freshness.total_seconds())} after the close" if job.freshness else NOTHING
        ),
        "deadline": when(deadline),
        "created": when(job.created_at),
        "started": when(job.started_at),
        "ended": when(job.ended_at),
        "error": job.error or NOTHING,
    }


def _render_series(description: JobDescription, console: Console) -> None:
    numbers = ("slices", "failed", "tries", "bars", *_WRITTEN)
    made = table(
        *("symbol", "timeframe", "checkpoint", "last bar"), *numbers, numeric=frozenset(numbers)
    )
    shown = _worth_showing(description.series)
    for one in shown:
        made.add_row(
            one.spec.symbol,
            one.spec.timeframe.value,
            when(one.checkpoint.frontier) if one.checkpoint else NOTHING,
            when(one.checkpoint.ts) if one.checkpoint else NOTHING,
            f"{one.slices.settled:,}/{one.slices.total:,}",
            f"{one.slices.dead:,}",
            str(one.most_tries),
            f"{one.slices.rows:,}",
            *(f"{getattr(one.totals, name):,}" for name in _WRITTEN),
        )
    console.print(made)
    if len(shown) < len(description.series):
        console.print(f"{len(description.series) - len(shown)} more: --json shows all of them")


def _worth_showing(series: tuple[SeriesProgress, ...]) -> list[SeriesProgress]:
    """Return what fits, those with failures first."""
    if len(series) <= SERIES_SHOWN:
        return list(series)
    return sorted(series, key=lambda one: not one.slices.dead)[:SERIES_SHOWN]
