"""`mdc import`: adopt a folder of files, or a table, of bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mdc.cli import options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.layout_options import layout_options, taken_layout
from mdc.cli.spoken import SpokenUsage


@click.command("import", cls=SpeakingCommand)
@click.argument("path", required=False)
@click.option("--table", metavar="SCHEMA.TABLE", help="Adopt this table instead of files.")
@click.option(
    "--dsn",
    metavar="URL",
    help="Where the table is; keep a password in ~/.pgpass.  [default: mdc's own database]",
)
@click.option(
    "--name", metavar="NAME", help="What the source is called.  [default: from path or table]"
)
@options.symbols(help="Only these; several words, commas or @file. PATH comes before.")
@layout_options
@options.dry_run()
@options.wait()
@options.following()
@options.as_json()
def import_(
    *,
    path: str | None,
    table: str | None,
    dsn: str | None,
    name: str | None,
    symbols: tuple[str, ...],
    dry_run: bool,
    wait: bool,
    verbose: bool,
    progress_file: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Import bars from PATH (a folder, a file, a glob, or a declared source), or from a table.

    The files are declared as the provider files:NAME and read by one job, like any other provider;
    a sidecar mdc-files.toml in the folder, or the options below, say how. Again, it stores nothing
    twice. Exit code 0: everything read; 1: something failed, is missing or was left out; 2: wrong
    usage.
    """
    layout = taken_layout(given)
    if (path is None) == (table is None):
        raise SpokenUsage("name a PATH or --table SCHEMA.TABLE, one of them")
    if dry_run and table:
        raise SpokenUsage("--dry-run looks at files; a table is copied first")
    # What reads files loads slowly, and --help does without.
    from mdc.cli.import_run import Order, run_import  # noqa: PLC0415

    code = run_import(
        Order(
            path=path,
            table=table,
            dsn=dsn,
            name=name,
            layout=layout,
            symbols=symbols,
            dry_run=dry_run,
            wait=wait,
            verbose=verbose,
            progress_file=progress_file,
            as_json=as_json,
        )
    )
    raise click.exceptions.Exit(code)
