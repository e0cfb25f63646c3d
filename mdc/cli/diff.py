"""`mdc diff`: how what is known of stored bars changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.services.diff_bars import SeriesDiff, changed_bars, diff_bars
from ingestion.store.bar_history import VALUES, BarChange, Change, Span
from mdc.cli import inputs, options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given
from mdc.cli.output import count, iso, out_console, print_json, table, when
from mdc.cli.shapes import Shape, series_shape
from providers.types import Timeframe

_SERIES_SHOWN: Final = 40


@click.command(cls=SpeakingCommand)
@click.option(
    "--as-of",
    "moments",
    type=inputs.moment,
    nargs=2,
    required=True,
    metavar="T1 T2",
    help="The two moments; a date is its 00:00Z. The later one at least a minute ago.",
)
@options.symbols()
@options.timeframes(help="Only these bar lengths.")
@options.provider()
@options.window(start_help="Only bars stamped from then on.")
@click.option("--rows", is_flag=True, help="One line for each bar: its values then and later.")
@options.as_json("Print one JSON list of series; with --rows one JSON object a line, for each bar.")
def diff(
    *,
    moments: tuple[Given, Given],
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    provider: str | None,
    start: Given | None,
    end: Given | None,
    rows: bool,
    as_json: bool,
) -> None:
    """Show which final bars were added, changed or withdrawn between two times of knowledge.

    Adding up the differences of neighbouring spans leads from one `mdc export --as-of` to another.
    """
    earlier, later = moments
    span = Span(
        earlier=earlier.moment,
        later=later.moment,
        start=start.as_start if start else None,
        end=end.as_end if end else None,
    )
    diffs = diff_bars(span, symbols=symbols, timeframes=timeframes, provider=provider)
    if rows:
        for line in _lines(diffs, span, as_json=as_json):
            click.echo(line)
    elif as_json:
        print_json([_shape(one) for one in diffs])
    if not as_json:
        _render(diffs)


def _lines(diffs: Sequence[SeriesDiff], span: Span, *, as_json: bool) -> Iterator[str]:
    for one in diffs:
        label = f"{one.series.provider} {one.series.symbol}/{one.series.timeframe}"
        for change in changed_bars(one, span):
            yield json.dumps(_row_shape(one, change)) if as_json else f"{label} {_spell(change)}"


def _spell(change: BarChange) -> str:
    match change.change:
        case Change.CHANGED:
            assert change.old is not None
            assert change.new is not None
            pairs = zip(VALUES, change.old, change.new, strict=True)
            said = ", ".join(
                f"{name} {_number(a)} -> {_number(b)}" for name, a, b in pairs if a != b
            )
        case Change.ADDED | Change.WITHDRAWN:
            values = zip(VALUES, change.new or change.old or (), strict=True)
            said = ", ".join(f"{name} {_number(one)}" for name, one in values if one is not None)
    return f"{when(change.ts)} {change.change}: {said}"


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.10g}"


def _row_shape(one: SeriesDiff, change: BarChange) -> Shape:
    return {
        "provider": one.series.provider,
        "symbol": one.series.symbol,
        "timeframe": one.series.timeframe.value,
        "adjustment": one.series.adjustment.value,
        "ts": iso(change.ts),
        "sequence": change.sequence,
        "change": change.change.value,
        "old": dict(zip(VALUES, change.old, strict=True)) if change.old else None,
        "new": dict(zip(VALUES, change.new, strict=True)) if change.new else None,
    }


def _shape(one: SeriesDiff) -> Shape:
    counts = one.counts
    return {
        **series_shape(one.series),
        "added": counts.added,
        "changed": counts.changed,
        "withdrawn": counts.withdrawn,
    }


def _render(diffs: Sequence[SeriesDiff]) -> None:
    differ = [one for one in diffs if not one.is_same]
    if not differ:
        click.echo(f"No bar changed: {count(len(diffs), 'series')}.")
        return
    numbers = ("added", "changed", "withdrawn")
    made = table("provider", "symbol", "timeframe", *numbers, numeric=frozenset(numbers))
    for one in differ[:_SERIES_SHOWN]:
        cells = (f"{getattr(one.counts, name):,}" for name in numbers)
        made.add_row(one.series.provider, one.series.symbol, one.series.timeframe.value, *cells)
    if len(differ) > 1:
        made.add_section()
        totals = (f"{sum(getattr(one.counts, name) for one in differ):,}" for name in numbers)
        made.add_row(f"all {len(differ):,}", "", "", *totals)
    console = out_console()
    console.print(made)
    if len(differ) > _SERIES_SHOWN:
        console.print(f"{len(differ) - _SERIES_SHOWN:,} more: --json shows all of them")
    same = len(diffs) - len(differ)
    if same:
        console.print(f"Unchanged: {count(same, 'series')}.")
