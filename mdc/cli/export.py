"""`mdc export`: stored bars as CSV or JSON lines."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.services.export_bars import ExportStep, export_bars
from ingestion.store.bar_export import ExportFormat
from mdc.cli import inputs
from mdc.cli.errors import SpeakingCommand, Spoken
from mdc.cli.inputs import Given, check_order
from mdc.cli.output import count, error_console
from providers.registry import get_adapter
from providers.types import Hours, Timeframe


@click.command(cls=SpeakingCommand)
@click.option(
    "--symbols",
    "--symbol",
    multiple=True,
    callback=inputs.join_symbols,
    metavar="A,B",
    help="Symbols, separated by commas or repeated.  [default: all]",
)
@click.option(
    "--timeframe",
    "--timeframes",
    "timeframes",
    multiple=True,
    type=inputs.timeframes,
    callback=inputs.join_timeframes,
    metavar="T,T",
    help="Bar lengths.  [default: all]",
)
@click.option("--provider", metavar="NAME", help="Only this provider.")
@click.option(
    "--hours", type=click.Choice([one.value for one in Hours]), default="regular", show_default=True
)
@click.option("--start", type=inputs.moment, metavar="DATE", help="First day (UTC).")
@click.option(
    "--end", type=inputs.moment, metavar="DATE", help="Last day, included; a time is excluded."
)
@click.option(
    "--format",
    "form",
    type=click.Choice([one.value for one in ExportFormat]),
    default="csv",
    show_default=True,
    help="csv with a header, or json with one object a line.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write there, all or nothing.  [default: standard output]",
)
def export(
    *,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    provider: str | None,
    hours: str,
    start: Given | None,
    end: Given | None,
    form: str,
    output: Path | None,
) -> None:
    """Write stored bars, ordered by provider, symbol, timeframe, adjustment, time, sequence.

    Numbers are written so that they read back exactly. A known symbol without bars in the range
    gives an empty export; a symbol of which nothing is stored is an error.
    """
    check_order(start=start, end=end)
    name = get_adapter(provider).name if provider else None
    console = error_console()
    with _destination(output) as file, _progress(console, shown=output is not None) as on_step:
        rows = export_bars(
            sink=file.write,
            form=ExportFormat(form),
            symbols=symbols,
            timeframes=timeframes,
            provider=name,
            hours=Hours(hours),
            start=start.as_start if start else None,
            end=end.as_end if end else None,
            on_step=on_step,
        )
    if output is not None:
        console.print(f"{count(rows, 'bar')} written to {output}.", soft_wrap=True)
    elif not rows:
        console.print("No bars match; `mdc coverage` shows what is stored.")


@contextmanager
def _destination(output: Path | None) -> Iterator[BinaryIO]:
    """Open standard output, or a file that appears under its name only once it is complete."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with _opened(output) as file:
            yield file
    except OSError as error:
        raise Spoken(
            f"cannot write {output}: {error.strerror or error}; choose another place with -o"
        ) from error


def _opened(output: Path) -> AbstractContextManager[BinaryIO]:
    """Write beside an ordinary file, but straight into a device or pipe that has the name."""
    target = output.resolve()
    if target.exists() and not target.is_file():
        return target.open("wb")
    return _replaced_when_complete(target)


@contextmanager
def _replaced_when_complete(output: Path) -> Iterator[BinaryIO]:
    descriptor, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(_usual_mode())
        draft.replace(output)
    except BaseException:
        with suppress(FileNotFoundError):
            draft.unlink()
        raise


def _usual_mode() -> int:
    """Return the mode that an ordinary new file gets here; a draft is private."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


@contextmanager
def _progress(console: Console, *, shown: bool) -> Iterator[Callable[[ExportStep], None]]:
    """Count series and bars while they are written, on a terminal."""
    if not (shown and console.is_terminal):
        yield lambda step: None
        return
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), console=console
    ) as drawn:
        task = drawn.add_task("Exporting ...", total=None)

        def on_step(step: ExportStep) -> None:
            drawn.update(
                task,
                description=f"{step.done:,} of {step.total:,} series, {count(step.rows, 'bar')}",
            )

        yield on_step
