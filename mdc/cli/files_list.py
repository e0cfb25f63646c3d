"""`mdc files list`: the declared sources."""

from __future__ import annotations

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.store.file_sources import list_sources
from mdc.cli.errors import SpeakingCommand
from mdc.cli.output import out_console, print_json, table, when


@click.command("list", cls=SpeakingCommand)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def list_(*, as_json: bool) -> None:
    """List the declared sources."""
    found = list_sources()
    if as_json:
        print_json(
            [
                {
                    "name": one.source.name,
                    "provider": one.source.provider,
                    "path": one.source.path,
                    "declared_at": one.declared_at,
                    "series": one.series,
                }
                for one in found
            ]
        )
        return
    if not found:
        click.echo("No source is declared yet. `mdc files add --help` says how.")
        return
    made = table("name", "path", "declared", "series stored", numeric=frozenset(("series stored",)))
    for one in found:
        made.add_row(one.source.name, one.source.path, when(one.declared_at), f"{one.series:,}")
    out_console().print(made)
