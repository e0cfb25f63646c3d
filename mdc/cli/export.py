"""`mdc export`: stored bars as CSV, JSON lines, Parquet or Arrow."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.domain.selection import BEST, Selection
from ingestion.formats.drafts import open_file, open_folder
from ingestion.formats.forms import PARTITIONS, ExportFormat, check_partitions
from ingestion.services.export_bars import Exported, ExportStep, OnStep, export_bars, export_hive
from mdc.cli import inputs, options
from mdc.cli.errors import SpeakingCommand, Spoken, SpokenUsage
from mdc.cli.inputs import Given
from mdc.cli.output import count, error_console
from mdc.cli.words import ListOption, split_words
from providers.errors import UnknownTimeframe
from providers.registry import provider_named
from providers.types import Adjustment, Anchor, Hours, Timeframe

_STDOUT: Final = Path("-")
_BASES: Final = [one.value for one in Adjustment]


def _timeframe(ctx: click.Context, param: click.Parameter, value: str | None) -> Timeframe | None:
    try:
        return None if value is None else Timeframe.parse(value)
    except UnknownTimeframe as error:
        raise click.BadParameter(str(error)) from error


def _partitions(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    return tuple(split_words(value))


@click.command(cls=SpeakingCommand)
@options.symbols(help="Only these; several words, commas or @file.  [default: all]")
@options.timeframes(help="Bar lengths.  [default: all]")
@click.option(
    "--provider",
    metavar="NAME|best",
    help="Only this provider; `best` chooses session by session: complete before incomplete, then"
    " more bars, then the precedence of the series. The column provider says which.",
)
@options.hours()
@click.option(
    "--anchor", type=click.Choice([one.value for one in Anchor]), help="Only bars so counted."
)
@click.option("--adjustment", type=click.Choice(_BASES), help="Only series stored on this basis.")
@click.option(
    "--adjust",
    type=click.Choice(_BASES[1:]),
    help="Compute adjusted prices from the least adjusted series and the recorded splits and"
    " dividends; a series stored on that basis alone comes as it is.",
)
@click.option(
    "--allow-unadjusted",
    is_flag=True,
    help="With --adjust: instruments without any recorded action are meant to have none.",
)
@click.option(
    "--resample",
    callback=_timeframe,
    metavar="T",
    help="Derive bars of this length from the finest shorter ones, or from --timeframe. Adds the"
    " columns derived and complete: complete only if all that could go into a bar was there.",
)
@click.option(
    "--as-of",
    type=inputs.moment,
    metavar="TIME",
    help="What was known then (final bars, actions); a date is its 00:00Z. At least a minute ago.",
)
@click.option("--final-only", is_flag=True, help="Leave out bars that are still forming.")
@options.window()
@click.option(
    "--format",
    "form",
    type=click.Choice([one.value for one in ExportFormat]),
    help="json: one object a line; arrow: the file format; arrows: the stream format."
    "  [default: by the ending of -o, else csv]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=_STDOUT,
    metavar="FILE|FOLDER|-",
    help="Write there, all or nothing.  [default: standard output]",
)
@click.option(
    "--partition-by",
    cls=ListOption,
    callback=_partitions,
    metavar="NAME,NAME",
    help=f"Write a hive of Parquet files into the folder -o, by: {', '.join(PARTITIONS)}.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in the folder -o.")
def export(
    *,
    form: str | None,
    output: Path,
    partition_by: tuple[str, ...],
    overwrite: bool,
    **asked: Any,
) -> None:
    """Write stored bars, ordered by provider, symbol, timeframe, adjustment, time, sequence.

    Everything is one snapshot of the database. Numbers are written so that they read back exactly.
    Bars that are still forming are included unless --final-only or --as-of is given; Parquet and
    Arrow mark them in the column `final`. A known symbol without bars in the range gives an empty
    export; a symbol of which nothing is stored is an error.
    """
    selection = _selection(**asked)
    console = error_console()
    if overwrite and not partition_by:
        raise SpokenUsage("--overwrite goes with --partition-by; a file is replaced without it")
    with _orderly_end():
        if partition_by:
            exported = _to_folder(
                output,
                selection,
                console,
                form=form,
                partition_by=partition_by,
                overwrite=overwrite,
            )
        else:
            exported = _to_file(output, selection, console, form=_form(form, output))
    _conclude(console, exported, output=output, folder=bool(partition_by))


def _selection(
    *,
    provider: str | None,
    anchor: str | None,
    adjustment: str | None,
    adjust: str | None,
    allow_unadjusted: bool,
    as_of: Given | None,
    start: Given | None,
    end: Given | None,
    hours: Hours,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    resample: Timeframe | None,
    final_only: bool,
) -> Selection:
    return Selection(
        symbols=symbols,
        timeframes=timeframes,
        provider=provider if provider in (None, BEST) else provider_named(provider),
        hours=hours,
        anchor=Anchor(anchor) if anchor else None,
        adjustment=Adjustment(adjustment) if adjustment else None,
        adjust=Adjustment(adjust) if adjust else None,
        resample=resample,
        start=start.as_start if start else None,
        end=end.as_end if end else None,
        as_of=as_of.moment if as_of else None,
        final_only=final_only,
        unadjusted_ok=allow_unadjusted,
    )


def _form(form: str | None, output: Path) -> ExportFormat:
    """Return the form asked for, or the one that the name speaks of."""
    if output == _STDOUT:
        return _piped(ExportFormat(form or ExportFormat.CSV))
    if form is not None:
        return ExportFormat(form)
    if not output.suffix:
        return ExportFormat.CSV
    guessed = ExportFormat.of_name(output.name)
    if guessed is None:
        raise SpokenUsage(
            f"the ending of {output.name} names no format; add --format"
            f" {'|'.join(one.value for one in ExportFormat)}"
        )
    return guessed


def _piped(form: ExportFormat) -> ExportFormat:
    if form is ExportFormat.PARQUET:
        raise SpokenUsage("Parquet is written to a file; name one with -o, or pipe --format arrow")
    if form not in (ExportFormat.ARROW, ExportFormat.ARROWS):
        return form
    if sys.stdout.isatty():
        raise SpokenUsage("Arrow is not for a terminal; name a file with -o, or pipe it on")
    return ExportFormat.ARROWS


def _to_file(
    output: Path, selection: Selection, console: Console, *, form: ExportFormat
) -> Exported:
    shown = output != _STDOUT or not sys.stdout.isatty()
    with _destination(output) as file, _progress(console, shown=shown) as on_step:
        return export_bars(file, form=form, selection=selection, on_step=on_step)


def _to_folder(
    output: Path,
    selection: Selection,
    console: Console,
    *,
    form: str | None,
    partition_by: tuple[str, ...],
    overwrite: bool,
) -> Exported:
    check_partitions(partition_by)
    if output == _STDOUT:
        raise SpokenUsage("--partition-by writes a folder; name it with -o")
    if form not in (None, ExportFormat.PARQUET):
        raise SpokenUsage(f"only Parquet is partitioned; leave --format {form} out")
    with (
        _spoken(output),
        open_folder(output, overwrite=overwrite) as folder,
        _progress(console, shown=True) as on_step,
    ):
        return export_hive(folder, partition_by=partition_by, selection=selection, on_step=on_step)


def _conclude(console: Console, exported: Exported, *, output: Path, folder: bool) -> None:
    if exported.left_out:
        console.print(
            f"{count(exported.left_out, 'stored bar')} outside of every session went into nothing.",
            soft_wrap=True,
        )
    if not exported.rows and (folder or output == _STDOUT):
        console.print("No bars match; `mdc coverage` shows what is stored.")
    elif output != _STDOUT:
        console.print(f"{count(exported.rows, 'bar')} written to {output}.", soft_wrap=True)


@contextmanager
def _orderly_end() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end an export as Ctrl-C does: its draft goes first."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _destination(output: Path) -> Iterator[BinaryIO]:
    """Open standard output, or a file that appears under its name only once it is complete."""
    if output == _STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with _spoken(output), open_file(output) as file:
        yield file


@contextmanager
def _spoken(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Spoken(
            f"cannot write {output}: {error.strerror or error}; choose another place with -o"
        ) from error


@contextmanager
def _progress(console: Console, *, shown: bool) -> Iterator[OnStep]:
    """Draw how far the export is, how fast, and how long it may take, on a terminal."""
    if not (shown and console.is_terminal):
        yield lambda step: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as drawn:
        task = drawn.add_task("Exporting", total=1.0, rows="")
        yield _drawing(drawn, task)


def _drawing(drawn: Progress, task: Any) -> Callable[[ExportStep], None]:
    def on_step(step: ExportStep) -> None:
        elapsed = drawn.tasks[0].elapsed or 0.0
        rate = f", {step.rows / elapsed:,.0f}/s" if elapsed > 1 else ""
        drawn.update(
            task,
            completed=step.share,
            description=f"{step.series.symbol} {step.series.timeframe}",
            rows=f"{count(step.rows, 'bar')}{rate}",
        )

    return on_step
