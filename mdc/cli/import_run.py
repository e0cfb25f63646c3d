"""Do what `mdc import` was asked: declare, look, copy, open the job, and stay with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from mdc.cli.actor import current_actor
from mdc.cli.files_acts import discovered_shape, print_problems, render_found
from mdc.cli.output import count, error_console, out_console, print_json
from mdc.cli.shapes import summary_shape
from mdc.cli.spoken import FAILED, SpokenUsage
from mdc.cli.waiting import announce, begin_watch, exit_code, show_summary, stay, wait_and_summarize
from providers.files.declared import DeclaredSource

_LONGEST_NAME: Final = 26


@dataclass(frozen=True, slots=True)
class Order:
    """Hold what was typed; either `path` or `table` is given."""

    path: str | None
    table: str | None
    dsn: str | None
    name: str | None
    layout: dict[str, Any]
    symbols: tuple[str, ...]
    dry_run: bool
    wait: bool
    verbose: bool
    progress_file: Path | None
    as_json: bool


def run_import(order: Order) -> int:
    """Import, or look at what would be; return the exit code."""
    stays = order.wait and not order.dry_run
    watch = begin_watch(verbose=order.verbose, progress_file=order.progress_file, stays=stays)
    if order.dry_run:
        _show(_resolved(order), symbols=order.symbols, as_json=order.as_json)
        return 0
    name = _adopt(order, order.table) if order.table else _declare(order)
    with stay(watch):
        imported = import_bars(
            name,
            now=datetime.now(UTC),
            actor=current_actor(),
            symbols=order.symbols,
            egress=settings.EGRESS,
        )
        assert imported.job is not None
        _tell(imported)
        if not order.wait:
            announce(imported.job, as_json=order.as_json)
            return 0
        (summary,) = wait_and_summarize([imported.job.job_id], watch=watch)
        if order.as_json:
            print_json({**discovered_shape(imported.found), **summary_shape(summary)})
        else:
            show_summary(summary, as_json=False)
        return FAILED if imported.left_out else exit_code([summary])


def _resolved(order: Order) -> DeclaredSource:
    """Return the source that is meant, without declaring it."""
    path = order.path or ""
    known = _known(path, order.layout)
    return known or resolve_source(order.name or _slug(path), path, order.layout)


def _declare(order: Order) -> str:
    path, name, layout = order.path or "", order.name, order.layout
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
    _look_first(resolve_source(chosen, path, layout))
    declared = declare_files(chosen, path, layout, actor=current_actor())
    if declared.changed:
        error_console().print(f"{declared.source.provider} is declared anew.")
    return chosen


def _look_first(source: DeclaredSource) -> None:
    """Refuse to declare what holds nothing; what is seen now is not read again."""
    found = discover_source(source)
    if not found.series:
        reason = "no file has rows"
        if found.problems:
            reason = f"{found.problems[0].file}: {found.problems[0].message}"
        raise SpokenUsage(f"nothing of {source.path} can be imported; {reason}")


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


def _adopt(order: Order, table: str) -> str:
    name, layout = order.name or _slug(table), dict(order.layout)
    adopted = import_table(
        name,
        TableSource(
            table=table,
            dsn=order.dsn or settings.DATABASE_URL,
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
    return name


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
