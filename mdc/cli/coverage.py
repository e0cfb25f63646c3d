"""`mdc coverage`: what is loaded, what is explained, what is a gap."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import click
from rich.console import Console

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.domain.windows import from_us
from ingestion.services.show_coverage import SeriesCoverage, show_coverage
from mdc.cli import inputs
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given, check_order
from mdc.cli.output import out_console, print_json, table, when
from mdc.cli.shapes import coverage_shape
from providers.registry import get_adapter
from providers.types import Timeframe

GAPS_SHOWN: Final = 200


@click.command(cls=SpeakingCommand)
@click.option(
    "--symbols",
    "--symbol",
    multiple=True,
    callback=inputs.join_symbols,
    metavar="A,B",
    help="Only these; separated by commas or repeated.",
)
@click.option(
    "--timeframe",
    "--timeframes",
    "timeframes",
    multiple=True,
    type=inputs.timeframes,
    callback=inputs.join_timeframes,
    metavar="T,T",
    help="Only these bar lengths.",
)
@click.option("--provider", metavar="NAME", help="Only this provider.")
@click.option("--start", type=inputs.moment, metavar="DATE", help="First day to judge.")
@click.option("--end", type=inputs.moment, metavar="DATE", help="Last day to judge, included.")
@click.option("--gaps", is_flag=True, help="List every gap as well.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, gaps included.")
def coverage(
    *,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    provider: str | None,
    start: Given | None,
    end: Given | None,
    gaps: bool,
    as_json: bool,
) -> None:
    """Show, per series, expected sessions, stored bars and gaps.

    Without --start and --end a series is judged over all that was ever asked of it.
    """
    check_order(start=start, end=end)
    found = show_coverage(
        now=datetime.now(UTC),
        symbols=symbols,
        timeframes=timeframes,
        provider=get_adapter(provider).name if provider else None,
        start=start.as_start if start else None,
        end=end.as_end if end else None,
    )
    if as_json:
        print_json([coverage_shape(one) for one in found])
        return
    if not found:
        click.echo("Nothing is stored yet. `mdc backfill --help` says how to fetch something.")
        return
    console = out_console()
    _render(found, console)
    if gaps:
        _render_gaps(found, console)


def _render(found: tuple[SeriesCoverage, ...], console: Console) -> None:
    numbers = ("expected", "loaded", "explained", "gaps", "bars", "duplicates")
    made = table(
        *("provider", "symbol", "timeframe", "adjustment", "from", "before", "complete before"),
        *numbers,
        numeric=frozenset(numbers),
    )
    for one in found:
        report = one.report
        made.add_row(
            one.series.provider,
            one.series.symbol,
            one.series.timeframe.value,
            one.series.adjustment.value,
            when(one.window.start if one.window else None),
            when(one.window.end if one.window else None),
            when(one.watermark),
            f"{report.expected:,}",
            f"{report.loaded:,}",
            f"{report.explained:,}",
            f"{report.lacking:,}",
            f"{one.bars.bars:,}",
            f"{one.bars.duplicates:,}",
        )
    console.print(made)


def _render_gaps(found: tuple[SeriesCoverage, ...], console: Console) -> None:
    gaps = [(one.series, gap) for one in found for gap in one.report.gaps]
    made = table(
        *("provider", "symbol", "timeframe", "from", "before", "sessions", "kind"),
        numeric=frozenset(("sessions",)),
    )
    for series, gap in gaps[:GAPS_SHOWN]:
        made.add_row(
            series.provider,
            series.symbol,
            series.timeframe.value,
            when(from_us(gap.start)),
            when(from_us(gap.end)),
            f"{gap.units:,}",
            gap.kind.value,
        )
    console.print()
    console.print(made if gaps else "No gaps.")
    if len(gaps) > GAPS_SHOWN:
        console.print(f"{len(gaps) - GAPS_SHOWN:,} more: --json lists all of them")
