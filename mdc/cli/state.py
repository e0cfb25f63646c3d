"""`mdc state`: how far each series has come, and how to let it be looked at again."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.services.find_series import find_series
from ingestion.services.reset_state import reset_state
from ingestion.services.show_state import SeriesState, show_state
from ingestion.store.series_reads import SeriesRow
from mdc.cli import inputs, options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand
from mdc.cli.output import NOTHING, count, out_console, print_json, table, when
from mdc.cli.shapes import Shape, series_shape
from mdc.cli.spoken import FAILED, SpokenUsage
from providers.types import Timeframe

_SERIES_NAMED = 5


@click.group()
def state() -> None:
    """Show how far each series has come; reset it, so that it is looked at again."""


@state.command(cls=SpeakingCommand)
@click.argument("symbol", required=False)
@click.argument("timeframe", required=False, type=inputs.timeframes)
@options.provider()
@options.count_bars()
@options.as_json("Print one JSON list.")
def show(
    *,
    symbol: str | None,
    timeframe: tuple[Timeframe, ...] | None,
    provider: str | None,
    bars: bool | None,
    as_json: bool,
) -> None:
    """Show what is stored of each series, what its last try brought, and which jobs work on it."""
    found = show_state(
        symbols=(symbol,) if symbol else (),
        timeframes=timeframe or (),
        provider=provider,
        now=datetime.now(UTC),
        count_bars=bars,
    )
    if as_json:
        print_json([_shape(one) for one in found])
        return
    if not found:
        click.echo("Nothing is stored yet. `mdc update --help` says how to begin.")
        return
    _render(found)


def _render(found: tuple[SeriesState, ...]) -> None:
    numbers = ("bars", "spans", "missing")
    made = table(
        *("provider", "symbol", "timeframe", "adjustment", "hours", "first bar", "last bar"),
        *("complete before", *numbers, "last try", "outcome", "jobs"),
        numeric=frozenset(numbers),
    )
    for one in found:
        series = one.series
        made.add_row(
            series.provider,
            series.symbol,
            series.timeframe.value,
            series.adjustment.value,
            series.hours.value,
            when(one.first_bar),
            when(one.last_bar),
            "reset" if one.doubted and one.watermark is None else when(one.watermark),
            NOTHING if one.bars is None else f"{one.bars:,}",
            f"{one.loaded_spans:,}",
            f"{one.missing:,}",
            when(one.last_attempt_at),
            one.last_outcome or NOTHING,
            ",".join(str(job) for job in one.open_jobs) or NOTHING,
        )
    console = out_console()
    console.print(made)
    for one in found:
        if one.last_error:
            console.print(f"{_label(one.series)}: {one.last_error}", soft_wrap=True)
    doubted = sum(one.doubted for one in found)
    if doubted:
        console.print(f"{count(doubted, 'series')} reset: fetched again by the next run.")


@state.command(cls=SpeakingCommand)
@click.argument("symbol", required=False)
@click.argument("timeframe", required=False, type=inputs.timeframes)
@options.provider()
@click.option("--all", "every", is_flag=True, help="Every series, or every one of --provider.")
@click.option("--yes", is_flag=True, help="Do not ask before --all.")
@options.reason()
def reset(
    *,
    symbol: str | None,
    timeframe: tuple[Timeframe, ...] | None,
    provider: str | None,
    every: bool,
    yes: bool,
    reason: str,
) -> None:
    """Forget how far SYMBOL at TIMEFRAME has come, so that the next run fetches it again.

    Bars stay. The next run compares what it fetches with them, and reports what is unchanged,
    revised or vanished.
    """
    if every:
        if symbol:
            raise SpokenUsage("name SYMBOL and TIMEFRAME or give --all, not both")
        found = find_series(provider=provider)
    elif symbol is None or timeframe is None:
        raise SpokenUsage("name SYMBOL and TIMEFRAME, such as AAPL 1d, or give --all --yes")
    else:
        found = find_series(symbols=(symbol,), timeframes=timeframe, provider=provider)
    if not found:
        click.echo("Nothing is stored, so there is nothing to reset.")
        return
    if every and not yes and not _agreed(found):
        click.echo("Nothing was reset.")
        raise click.exceptions.Exit(FAILED)
    done = reset_state(series_ids=[one.id for one in found], actor=current_actor(), reason=reason)
    click.echo(
        f"Reset {count(done, 'series')} ({_labels(found)}). Bars stay; the next run fetches them"
        f" again and reports what changed. Next: {_next(found, every=every, provider=provider)}"
    )


def _agreed(found: list[SeriesRow]) -> bool:
    if not sys.stdin.isatty():
        raise SpokenUsage(
            f"this resets {count(len(found), 'series')}: add --yes where nobody can be asked"
        )
    return click.confirm(
        f"Reset {count(len(found), 'series')}? Bars stay, and the next run fetches all of them"
        " again"
    )


def _next(found: list[SeriesRow], *, every: bool, provider: str | None) -> str:
    if every:
        return f"mdc update {provider}" if provider else "mdc update"
    one = found[0]
    return f"mdc update --symbols {one.symbol} --timeframe {one.timeframe.value}"


def _labels(found: list[SeriesRow]) -> str:
    named = ", ".join(_label(one) for one in found[:_SERIES_NAMED])
    more = len(found) - _SERIES_NAMED
    return f"{named} and {more:,} more" if more > 0 else named


def _label(series: SeriesRow) -> str:
    return f"{series.symbol}/{series.timeframe.value} of {series.provider}"


def _shape(one: SeriesState) -> Shape:
    return {
        **series_shape(one.series),
        **{key: value for key, value in asdict(one).items() if key != "series"},
    }
