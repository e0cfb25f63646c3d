"""`mdc files add | show | remove`, and how what was found is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click
from rich.console import Console

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from django.conf import settings

from ingestion.services.declare_files import declare_files
from ingestion.services.discover_files import Discovered, FoundSeries, discover_files
from ingestion.services.forget_files import forget_files
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand
from mdc.cli.layout_options import layout_options, taken_layout
from mdc.cli.output import count, out_console, print_json, table, when
from mdc.cli.shapes import Shape
from providers.files.source import Problem

SERIES_SHOWN: Final = 200
PROBLEMS_SHOWN: Final = 20


@click.command(cls=SpeakingCommand)
@click.argument("name")
@click.argument("path")
@layout_options
def add(*, name: str, path: str, **given: Any) -> None:
    """Declare PATH (a folder, a file or a quoted glob) as files:NAME, or change how it is read.

    A sidecar mdc-files.toml in the folder counts where no option says otherwise. Both are read now
    and kept; a sidecar that changes later counts when the source is declared again.
    """
    declared = declare_files(name, path, taken_layout(given), actor=current_actor())
    verb = "was declared already" if declared.existed and not declared.changed else "is declared"
    click.echo(
        f"{declared.source.provider} {verb}. Next: mdc files show {name}, then mdc import {name}"
    )


@click.command(cls=SpeakingCommand)
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(*, name: str, as_json: bool) -> None:
    """Read what NAME holds now: series, their first and last bars, rows, and unreadable files."""
    found = discover_files(name)
    if as_json:
        print_json(discovered_shape(found))
        return
    console = out_console()
    console.print(f"{found.source.provider}: {found.source.path}", soft_wrap=True)
    render_found(found.series, console)
    print_problems(found.problems, console)


@click.command(cls=SpeakingCommand)
@click.argument("name")
@options.reason()
def remove(*, name: str, reason: str) -> None:
    """Forget how NAME is read; its files and its stored bars stay."""
    series = forget_files(
        name, imports=settings.MDC_HOME.root / "imports", actor=current_actor(), reason=reason
    )
    stay = f" {count(series, 'series')} of it stay stored." if series else ""
    click.echo(f"{name} is declared no more.{stay}")


def render_found(series: Sequence[FoundSeries], console: Console) -> None:
    """Print what a source holds."""
    numbers = ("rows", "unplaced", "files")
    made = table(
        *("symbol", "timeframe", "adjustment", "hours", "venue", "first", "before"),
        *numbers,
        numeric=frozenset(numbers),
    )
    for one in series[:SERIES_SHOWN]:
        made.add_row(
            one.symbol,
            one.timeframe.value,
            one.adjustment.value,
            one.hours.value if one.timeframe.is_intraday else "-",
            one.venue or "-",
            when(one.first),
            when(one.end),
            f"{one.rows:,}",
            f"{one.unplaced:,}",
            f"{one.files:,}",
        )
    console.print(made)
    if len(series) > SERIES_SHOWN:
        console.print(f"{len(series) - SERIES_SHOWN:,} more: --json lists all of them")


def print_problems(problems: Sequence[Problem], console: Console) -> None:
    """Print what is left out, and why."""
    for one in problems[:PROBLEMS_SHOWN]:
        console.print(f"Left out: {one.file}: {one.message}", soft_wrap=True)
    if len(problems) > PROBLEMS_SHOWN:
        console.print(f"{len(problems) - PROBLEMS_SHOWN:,} more left out: `mdc files show` --json")


def discovered_shape(found: Discovered) -> Shape:
    """Shape what a source holds."""
    return {
        "source": {
            "name": found.source.name,
            "path": found.source.path,
            "layout": found.source.layout.to_json(),
        },
        "found": [
            {name: getattr(one, name) for name in FoundSeries.__slots__} for one in found.series
        ],
        "left_out": [{"file": one.file, "message": one.message} for one in found.problems],
    }
