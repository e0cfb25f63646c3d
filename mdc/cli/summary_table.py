"""Render the summary of a job; used by `backfill`, `job show --follow` and the demo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from ingestion.services.describe_job import Failure
from ingestion.services.summarize_job import MOST_SYMBOLS_NAMED, JobSummary, SeriesSummary
from mdc.cli.output import count, span, table

SERIES_SHOWN: Final = 40
# All columns side by side need this much; narrower terminals get three tables.
_WIDE: Final = 136


@dataclass(frozen=True, slots=True)
class _Column:
    head: str
    cell: Callable[[SeriesSummary], str]
    total: Callable[[JobSummary], str]


def _sum(name: str) -> Callable[[JobSummary], str]:
    return lambda summary: f"{sum(getattr(one, name) for one in summary.series):,}"


def _number(head: str, name: str) -> _Column:
    return _Column(head, lambda one: f"{getattr(one, name):,}", _sum(name))


_STORED: Final = (
    _number("expected sessions", "expected"),
    _number("bars", "bars"),
    _number("gaps", "gaps"),
    _number("duplicates", "duplicates"),
)
_WRITTEN: Final = (
    _number("inserted", "inserted"),
    _number("unchanged", "unchanged"),
    _number("revised", "revised"),
    _number("vanished", "vanished"),
)
_SPENT: Final = (
    _number("requests", "requests"),
    _number("throttled", "throttled"),
    _Column("time", lambda one: span(one.seconds), lambda summary: span(summary.seconds)),
    _Column(
        "bars/s",
        lambda one: f"{one.bars_per_second:,.0f}",
        lambda summary: f"{summary.bars_per_second:,.0f}",
    ),
)


def render_summary(summary: JobSummary, console: Console) -> None:
    """Print the tables per series, then what the whole came to and what to do next."""
    parts = [_STORED, _WRITTEN, _SPENT]
    groups = [_STORED + _WRITTEN + _SPENT] if console.width >= _WIDE else parts
    for columns in groups:
        _render_table(summary, columns, console)
    console.print()
    console.print(_verdict(summary), soft_wrap=True)
    for line in _remarks(summary):
        console.print(line, soft_wrap=True)
    for failure in summary.failures:
        for line in failure_lines(failure):
            console.print(line, soft_wrap=True)
    console.print(f"Next: {summary.next_command}", soft_wrap=True)


def _render_table(summary: JobSummary, columns: Sequence[_Column], console: Console) -> None:
    made = table(
        "symbol",
        "timeframe",
        *(column.head for column in columns),
        numeric=frozenset(column.head for column in columns),
    )
    shown = _worth_showing(summary.series)
    for one in shown:
        made.add_row(one.symbol, one.timeframe, *(column.cell(one) for column in columns))
    if len(summary.series) > 1:
        made.add_section()
        label = f"all {len(summary.series)}"
        made.add_row(label, "", *(column.total(summary) for column in columns))
    console.print(made)
    if len(shown) < len(summary.series):
        console.print(f"{len(summary.series) - len(shown)} more without gaps or failures: --json")


def _worth_showing(series: Sequence[SeriesSummary]) -> Sequence[SeriesSummary]:
    """Return what fits, those with something wrong first."""
    if len(series) <= SERIES_SHOWN:
        return series
    return sorted(series, key=lambda one: not (one.gaps or one.slices.dead))[:SERIES_SHOWN]


def _verdict(summary: JobSummary) -> str:
    job = summary.job
    state = f"{job.state} ({job.outcome})" if job.outcome else str(job.state)
    slices = summary.slices
    parts = [f"{slices.done:,} of {count(slices.total, 'slice')} done"]
    if summary.success_rate is not None:
        parts.append(f"success rate {summary.success_rate:.1%}")
    sentence = f"Job {job.id} {state}: {', '.join(parts)}."
    return f"{sentence} {job.error}" if job.error and not summary.failures else sentence


def _remarks(summary: JobSummary) -> list[str]:
    """Say what was waited for, refused, found absent, and lost to dead workers."""
    lines = []
    waits = [f"{cause} {span(seconds)}" for cause, seconds in summary.waited.items() if seconds]
    lines.append(f"Waited (all slices together): {', '.join(waits) or 'nothing'}.")
    gaps = sum(one.gaps for one in summary.series)
    if gaps:
        symbols = list(dict.fromkeys(one.symbol for one in summary.series if one.gaps))
        few = len(symbols) <= MOST_SYMBOLS_NAMED
        chosen = f"--symbols {','.join(symbols)}" if few else f"--provider {summary.job.provider}"
        lines.append(
            f"{count(gaps, 'expected session')} without bars; "
            f"`mdc coverage {chosen} --gaps` lists them."
        )
    if summary.quarantined:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in summary.quarantined.items())
        lines.append(f"Refused rows, kept in the quarantine: {reasons}.")
    crashes = sum(one.crashes for one in summary.series)
    if crashes:
        lines.append(f"{count(crashes, 'attempt')} lost to dying workers and done again.")
    return lines


def failure_lines(failure: Failure) -> list[str]:
    """Spell one group of failures: what, where, an example, and what to do."""
    more = failure.series - len(failure.symbols)
    where = ", ".join(failure.symbols) + (f" and {more} more" if more > 0 else "")
    return [
        f"Failed: {failure.error_class or 'unknown'}, {count(failure.slices, 'slice')} ({where})",
        f"  it said: {failure.sample}",
        f"  what to do: {failure.advice}",
    ]
