"""Tables of the demo, per symbol and provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console

from ingestion.services.summarize_job import JobSummary, SeriesSummary
from mdc.cli.output import count, span, table

# All columns side by side need this much; narrower terminals get two tables, or narrow ones.
_WIDE: Final = 118
_NARROW: Final = 92


@dataclass(frozen=True, slots=True)
class Row:
    """Sum up one symbol at one provider over all jobs of the demo."""

    provider: str
    symbol: str
    expected: int
    bars: int
    gaps: int
    duplicates: int
    inserted: int
    unchanged: int
    revised: int
    requests: int
    throttled: int
    seconds: float

    @property
    def bars_per_second(self) -> float:
        """Return how fast bars went from the provider into PostgreSQL."""
        rows = self.inserted + self.unchanged + self.revised
        return rows / self.seconds if self.seconds else 0.0


_Column = tuple[str, Callable[[Row], str]]


def _number(name: str) -> _Column:
    return name, lambda row: f"{getattr(row, name):,}"


_STORED: Final = tuple(_number(name) for name in ("expected", "bars", "gaps", "duplicates"))
_COUNTED: Final = ("inserted", "unchanged", "revised", "requests", "throttled")
_WORK: Final = (
    *(_number(name) for name in _COUNTED),
    ("time", lambda row: span(row.seconds)),
    ("bars/s", lambda row: f"{row.bars_per_second:,.0f}"),
)


def rows_of(summaries: Sequence[JobSummary]) -> list[Row]:
    """Add up jobs in their order: what is stored as the last one left it, the work over all.

    Each provider's symbols are followed by their sum, whose time is that of the jobs.
    """
    rows: list[Row] = []
    for provider in dict.fromkeys(summary.series[0].provider for summary in summaries):
        jobs = [summary for summary in summaries if summary.series[0].provider == provider]
        symbols = [_row(series) for series in zip(*(job.series for job in jobs), strict=True)]
        rows += symbols
        if len(symbols) > 1:
            rows.append(_sum(symbols, seconds=sum(job.seconds for job in jobs)))
    return rows


def _row(series: Sequence[SeriesSummary]) -> Row:
    last = series[-1]
    stored = {name: getattr(last, name) for name, _ in _STORED}
    work = {name: sum(getattr(one, name) for one in series) for name in _COUNTED}
    return Row(
        provider=last.provider,
        symbol=last.symbol,
        seconds=sum(one.seconds for one in series),
        **stored,
        **work,
    )


def _sum(rows: Sequence[Row], *, seconds: float) -> Row:
    names = [*(name for name, _ in _STORED), *_COUNTED]
    return Row(
        provider=rows[0].provider,
        symbol=f"all {len(rows)}",
        seconds=seconds,
        **{name: sum(getattr(row, name) for row in rows) for name in names},
    )


def show_rows(rows: Sequence[Row], console: Console) -> None:
    """Print one table, or two where the terminal is narrow."""
    groups = [_STORED + _WORK] if console.width >= _WIDE else [_STORED, _WORK]
    for columns in groups:
        heads = [head for head, _ in columns]
        made = table("provider", "symbol", *heads, numeric=frozenset(heads))
        if console.width < _NARROW:
            made.padding = (0, 0)
        for row, following in zip(rows, [*rows[1:], None], strict=True):
            ends = following is None or following.provider != row.provider
            cells = (cell(row) for _, cell in columns)
            made.add_row(row.provider, row.symbol, *cells, end_section=ends)
        console.print(made)
        console.print()


def show_answers(
    stats: Mapping[str, Mapping[str, Any]], *, recorded: Mapping[str, int], console: Console
) -> None:
    """Say, per provider, what the simulator answered and whether its limit was kept.

    `recorded` counts the requests in mdc's own ledger; a killed worker writes none of its last.
    """
    for provider, seen in stats.items():
        console.print(
            f"  {provider:8}  {count(seen['requests'], 'request')}, "
            f"{seen['violations'] or 'none'} above its limit"
        )
        answers = ", ".join(_answers(status, n) for status, n in seen["by_status"].items())
        console.print(f"            {answers}")
        unrecorded = seen["requests"] - recorded[provider]
        if unrecorded:
            console.print(f"            {unrecorded} more than the table shows: out at the kill")


def _answers(status: str, n: int) -> str:
    """Spell how many answers had an HTTP status; 0 stands for a request without an answer."""
    special = {"0": "unanswered", "200": "good", "400": "before listing (400)"}
    return f"{n:,} {special[status]}" if status in special else f"{n:,} x {status}"
