"""`mdc inspect`: look at stored bars with every quality check, now."""

from __future__ import annotations

from collections.abc import Iterable

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion import clock
from ingestion.domain.checks.found import Found
from ingestion.domain.findings import evidence_words
from ingestion.domain.windows import from_us
from ingestion.services.inspect_stored import InspectedSeries, inspect_stored
from ingestion.store.series_reads import SeriesRow
from mdc.cli import options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given
from mdc.cli.output import count, error_console, out_console, print_json, table, when
from mdc.cli.shapes import Shape, series_shape
from providers.types import Timeframe

FINDINGS_SHOWN = 200


@click.command(cls=SpeakingCommand)
@options.symbols()
@options.timeframes(help="Only these bar lengths.")
@options.provider()
@options.window(
    start_help="First day to look at; all that is stored by default.",
    end_help="Last day to look at, included.",
)
@options.as_json("Print one JSON list.")
def inspect(
    *,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    provider: str | None,
    start: Given | None,
    end: Given | None,
    as_json: bool,
) -> None:
    """Look for gaps, holes, spikes, standstills and contradictions in what is stored.

    The same happens by itself after each load. What is found is kept: `mdc findings` lists it,
    with what was found before and lasts.
    """
    looked_at = _told(
        inspect_stored(
            now=clock.now(),
            symbols=symbols,
            timeframes=timeframes,
            provider=provider,
            start=start.as_start if start else None,
            end=end.as_end if end else None,
        )
    )
    if as_json:
        print_json([_shape(one) for one in looked_at])
        return
    if not looked_at:
        click.echo("Nothing is stored yet. `mdc backfill --help` says how to fetch something.")
        return
    _render(looked_at)


def _told(series: Iterable[InspectedSeries]) -> list[InspectedSeries]:
    """Go through all series, with a line on standard error where that takes a while."""
    done: list[InspectedSeries] = []
    with error_console().status("inspecting ...") as status:
        for one in series:
            done.append(one)
            status.update(f"inspected {one.series.symbol}/{one.series.timeframe} ({len(done):,})")
    return done


def _render(looked_at: list[InspectedSeries]) -> None:
    found = [(one.series, thing) for one in looked_at for thing in one.inspected.found]
    console = out_console()
    if found:
        made = table(
            *("provider", "symbol", "timeframe", "kind", "severity", "from", "before", "evidence")
        )
        for series, thing in found[:FINDINGS_SHOWN]:
            made.add_row(*_line(series, thing))
        console.print(made)
    if len(found) > FINDINGS_SHOWN:
        console.print(f"{len(found) - FINDINGS_SHOWN:,} more: --json lists all of them")
    bars = sum(one.inspected.bars for one in looked_at)
    opened = sum(one.inspected.opened for one in looked_at)
    resolved = sum(one.inspected.resolved for one in looked_at)
    console.print(
        f"Read {count(bars, 'bar')} of {count(len(looked_at), 'series')}: "
        f"{count(len(found), 'finding')}, {opened:,} new; {resolved:,} resolved."
    )


def _line(series: SeriesRow, found: Found) -> tuple[str, ...]:
    told = {name: value for name, value in found.evidence.items() if name != "bars_around"}
    return (
        series.provider,
        series.symbol,
        series.timeframe.value,
        found.kind.value,
        found.severity.value,
        when(from_us(found.start_us)),
        when(from_us(found.end_us)),
        ", ".join(f"{name} {value}" for name, value in evidence_words(told, most=2)),
    )


def _shape(one: InspectedSeries) -> Shape:
    return {
        **series_shape(one.series),
        "start": one.window.start if one.window else None,
        "end": one.window.end if one.window else None,
        "bars": one.inspected.bars,
        "new": one.inspected.opened,
        "resolved": one.inspected.resolved,
        "findings": [
            {
                "kind": found.kind,
                "severity": found.severity,
                "start": from_us(found.start_us),
                "end": from_us(found.end_us),
                "evidence": found.evidence,
            }
            for found in one.inspected.found
        ],
    }
