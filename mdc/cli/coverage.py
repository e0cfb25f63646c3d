"""`mdc coverage`: what is loaded, what is explained, what is a gap."""

from __future__ import annotations

import sys

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion import clock
from ingestion.domain.windows import from_us
from ingestion.services.find_series import find_series
from ingestion.services.rebuild_coverage import Rebuilt, rebuild_coverage
from ingestion.services.show_coverage import show_coverage
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.coverage_view import render_absences, render_coverage, render_gaps
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given
from mdc.cli.output import count, out_console, print_json, table, when
from mdc.cli.shapes import Shape, coverage_shape
from mdc.cli.spoken import SpokenUsage
from providers.types import Timeframe


class _SpeakingGroup(SpeakingCommand, click.Group):
    """Be a command that speaks, with commands under it."""


@click.group(cls=_SpeakingGroup, invoke_without_command=True)
@options.symbols()
@options.timeframes(help="Only these bar lengths.")
@options.provider()
@options.window(start_help="First day to judge.", end_help="Last day to judge, included.")
@click.option("--gaps", is_flag=True, help="List the gaps as well.")
@click.option(
    "--absences", is_flag=True, help="List windows without bars: why, by which attempt, until when."
)
@options.count_bars()
@options.as_json("Print one JSON list, gaps included; absences with --absences.")
def coverage(
    *,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    provider: str | None,
    start: Given | None,
    end: Given | None,
    gaps: bool,
    absences: bool,
    bars: bool | None,
    as_json: bool,
) -> None:
    """Show, per series, how complete it is: expected sessions, what is loaded, explained, lacking.

    Without --start and --end a series is judged over all that was ever asked of it.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    found = show_coverage(
        now=clock.now(),
        symbols=symbols,
        timeframes=timeframes,
        provider=provider,
        start=start.as_start if start else None,
        end=end.as_end if end else None,
        count_bars=bars,
        with_absences=absences,
    )
    if as_json:
        print_json([coverage_shape(one, absences=absences) for one in found])
        return
    if not found:
        click.echo("Nothing is stored yet. `mdc backfill --help` says how to fetch something.")
        return
    console = out_console()
    render_coverage(found, console)
    if gaps:
        render_gaps(found, console)
    if absences:
        render_absences(found, console)


@coverage.command(cls=SpeakingCommand)
@options.symbols()
@options.timeframes(help="Only these bar lengths.")
@options.provider()
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.reason()
@options.as_json("Print one JSON list.")
def rebuild(
    *,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    provider: str | None,
    yes: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Recompute what is loaded from the stored bars themselves.

    For bars that were written with SQL or restored from a dump: from a series' first bar to its
    last, sessions with bars are loaded and sessions without are not. What was explained stays so.
    """
    found = find_series(symbols=symbols, timeframes=timeframes, provider=provider)
    if not found and not as_json:
        click.echo("Nothing is stored of that, so there is nothing to rebuild.")
        return
    if found and not yes:
        _ask(len(found))
    rebuilt = rebuild_coverage(
        now=clock.now(),
        actor=current_actor(),
        symbols=symbols,
        timeframes=timeframes,
        provider=provider,
        reason=reason,
    )
    if as_json:
        print_json([_rebuilt_shape(one) for one in rebuilt])
        return
    _render_rebuilt(rebuilt)


def _ask(number: int) -> None:
    what = f"the coverage of {count(number, 'series')}"
    if not sys.stdin.isatty():
        raise SpokenUsage(f"this rebuilds {what}: add --yes where nobody can be asked")
    click.confirm(f"Rebuild {what} from the stored bars?", abort=True)


def _render_rebuilt(rebuilt: tuple[Rebuilt, ...]) -> None:
    numbers = ("sessions with bars", "without", "missing before", "missing")
    made = table(
        *("provider", "symbol", "timeframe", "loaded from", "before", "coverage"),
        *numbers,
        numeric=frozenset(numbers),
    )
    for one in rebuilt:
        pairs = one.after.loaded.pairs()
        made.add_row(
            one.series.provider,
            one.series.symbol,
            one.series.timeframe.value,
            when(from_us(pairs[0][0]) if pairs else None),
            when(from_us(pairs[-1][1]) if pairs else None),
            "changed" if one.changed else "as it was",
            f"{one.sessions:,}",
            f"{one.empty:,}",
            f"{one.before.missing:,}",
            f"{one.after.missing:,}",
        )
    out_console().print(made)


def _rebuilt_shape(one: Rebuilt) -> Shape:
    return {
        "series_id": one.series.id,
        "provider": one.series.provider,
        "symbol": one.series.symbol,
        "timeframe": one.series.timeframe,
        "changed": one.changed,
        "sessions": one.sessions,
        "empty": one.empty,
        "missing": one.after.missing,
        "loaded": [
            {"start": from_us(start), "end": from_us(end)} for start, end in one.after.loaded
        ],
    }
