"""`mdc import`: adopt a folder of files, or a table, of bars."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from django.conf import settings

from ingestion.services.declare_files import declare_files, resolve_source
from ingestion.services.discover_files import discover_source, find_declared
from ingestion.services.import_bars import Imported, import_bars
from ingestion.services.import_table import TableSource, import_table
from ingestion.store.file_sources import find_source
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand
from mdc.cli.files import discovered_shape, print_problems, render_found
from mdc.cli.layout_options import layout_options, taken_layout
from mdc.cli.output import count, error_console, out_console, print_json
from mdc.cli.shapes import summary_shape
from mdc.cli.spoken import FAILED, SpokenUsage
from mdc.cli.waiting import announce, begin_watch, exit_code, show_summary, stay, wait_and_summarize
from providers.files.source import DeclaredSource

_LONGEST_NAME: Final = 26


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
    watch = begin_watch(verbose=verbose, progress_file=progress_file, stays=wait and not dry_run)
    if (path is None) == (table is None):
        raise SpokenUsage("name a PATH or --table SCHEMA.TABLE, one of them")
    if dry_run:
        if path is None:
            raise SpokenUsage("--dry-run looks at files; a table is copied first")
        _show(_resolved(path, name, layout), symbols=symbols, as_json=as_json)
        return
    if table is not None:
        chosen = name or _slug(table)
        _adopt(chosen, table, dsn=dsn, layout=layout)
    else:
        assert path is not None
        chosen = _declare(path, name, layout)
    with stay(watch):
        imported = import_bars(
            chosen,
            now=datetime.now(UTC),
            actor=current_actor(),
            symbols=symbols,
            egress=settings.EGRESS,
        )
        assert imported.job is not None
        _tell(imported)
        if not wait:
            announce(imported.job, as_json=as_json)
            return
        (summary,) = wait_and_summarize([imported.job.job_id], watch=watch)
        if as_json:
            print_json({**discovered_shape(imported.found), **summary_shape(summary)})
        else:
            show_summary(summary, as_json=False)
        code = exit_code([summary])
        raise click.exceptions.Exit(FAILED if imported.left_out else code)


def _resolved(path: str, name: str | None, layout: Mapping[str, Any]) -> DeclaredSource:
    """Return the source that is meant, without declaring it."""
    known = _known(path, layout)
    return known or resolve_source(name or _slug(path), path, layout)


def _declare(path: str, name: str | None, layout: Mapping[str, Any]) -> str:
    known = _known(path, layout)
    if known is not None:
        return known.name
    chosen = name or _slug(path)
    other = find_source(chosen)
    whole = str(Path(path).expanduser().absolute())
    if other is not None and other.path != whole and name is None:
        raise SpokenUsage(
            f"{other.provider} is another folder, {other.path}; choose another name with --name"
        )
    declared = declare_files(chosen, path, layout, actor=current_actor())
    if declared.changed:
        error_console().print(f"{declared.source.provider} is declared anew.")
    return chosen


def _known(path: str, layout: Mapping[str, Any]) -> DeclaredSource | None:
    """Return a declared source where its name was given in place of a path."""
    if Path(path).expanduser().exists() or not re.fullmatch(r"(files:)?[a-z0-9][a-z0-9_-]*", path):
        return None
    source = find_declared(path)
    if layout:
        raise SpokenUsage(
            f"{source.provider} is declared already; `mdc files add {source.name} PATH ...` changes"
            " how it is read"
        )
    return source


def _adopt(name: str, table: str, *, dsn: str | None, layout: dict[str, Any]) -> None:
    adopted = import_table(
        name,
        TableSource(
            table=table,
            dsn=dsn or settings.DATABASE_URL,
            columns=layout.pop("columns", {}),
            symbol=layout.pop("symbol", ""),
            timeframe=layout.pop("timeframe", ""),
        ),
        folder=settings.MDC_HOME.root / "imports" / name,
        layout=layout,
        actor=current_actor(),
    )
    console = error_console()
    console.print(
        f"Copied {count(adopted.rows, 'row')} of {table} to {adopted.declared.source.path}.",
        soft_wrap=True,
    )
    if adopted.nameless:
        console.print(f"{count(adopted.nameless, 'row')} without a symbol stay behind.")


def _show(source: DeclaredSource, *, symbols: Sequence[str], as_json: bool) -> None:
    found = discover_source(source)
    if as_json:
        print_json(discovered_shape(found))
        return
    shown = [one for one in found.series if not symbols or one.symbol in symbols]
    render_found(shown, out_console())
    print_problems(found.problems, error_console())
    click.echo("Nothing was declared, fetched or written.")


def _tell(imported: Imported) -> None:
    console = error_console()
    rows = sum(one.rows for one in imported.taken)
    console.print(
        f"{imported.found.source.provider}: {count(len(imported.taken), 'series')},"
        f" {count(rows, 'row')}."
    )
    print_problems(imported.left_out, console)


def _slug(text: str) -> str:
    """Make a name of a path or table: its last part that is no wildcard."""
    parts = [part for part in re.split(r"[/\\]", text.rstrip("/")) if part and "*" not in part]
    last = (parts or ["files"])[-1] if "/" in text or not parts else parts[-1]
    if last in (".", "..", "~"):
        last = Path(text).expanduser().resolve().name
    stem = re.sub(r"(\.(csv|tsv|txt|parquet|pq|gz))+$", "", last.lower())
    slug = re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_")[:_LONGEST_NAME].rstrip("-_")
    if not slug:
        raise SpokenUsage("give the source a name with --name")
    return slug
