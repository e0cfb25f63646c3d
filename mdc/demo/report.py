"""Tables of the demo, per symbol and provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console

from ingestion.services.summarize_job import JobSummary, SeriesSummary
from mdc.cli.output import count, span, table

# All columns side by side need this much; narrower terminals get two tables.
_WIDE: Final = 118


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
_WORK: Final = (
    *(_number(name) for name in ("inserted", "unchanged", "revised", "requests", "throttled")),
    ("time", lambda row: span(row.seconds)),
    ("bars/s", lambda row: f"{row.bars_per_second:,.0f}"),
)


def rows_of(summaries: Sequence[JobSummary]) -> list[Row]:
    """Add up jobs in their order: what is stored as the last one left it, the work over all."""
    found: dict[tuple[str, str], list[SeriesSummary]] = {}
    for summary in summaries:
        for one in summary.series:
            found.setdefault((one.provider, one.symbol), []).append(one)
    return [_row(series) for series in found.values()]


def _row(series: Sequence[SeriesSummary]) -> Row:
    def total(name: str) -> int:
        return sum(getattr(one, name) for one in series)

    last = series[-1]
    return Row(
        provider=last.provider,
        symbol=last.symbol,
        expected=last.expected,
        bars=last.bars,
        gaps=last.gaps,
        duplicates=last.duplicates,
        inserted=total("inserted"),
        unchanged=total("unchanged"),
        revised=total("revised"),
        requests=total("requests"),
        throttled=total("throttled"),
        seconds=sum(one.seconds for one in series),
    )


def show_rows(rows: Sequence[Row], console: Console) -> None:
    """Print one table, or two where the terminal is narrow."""
    groups = [_STORED + _WORK] if console.width >= _WIDE else [_STORED, _WORK]
    for columns in groups:
        heads = [head for head, _ in columns]
        made = table("provider", "symbol", *heads, numeric=frozenset(heads))
        for row, following in zip(rows, [*rows[1:], None], strict=True):
            ends = following is None or following.provider != row.provider
            cells = (cell(row) for _, cell in columns)
            made.add_row(row.provider, row.symbol, *cells, end_section=ends)
        console.print(made)
        console.print()


def show_faults(stats: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    """Say, per provider, what the simulator answered and whether its limit was kept."""
    for provider, seen in stats.items():
        statuses = {"200": "good", "0": "broken off"}
        answers = ", ".join(
            f"{n:,} {statuses.get(status, status)}" for status, n in seen["by_status"].items()
        )
        console.print(
            f"  {provider}: {count(seen['requests'], 'request')} ({answers}), "
            f"{seen['violations']} above its limit"
        )
