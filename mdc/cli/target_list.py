"""`mdc target list`: targets and what is pending for them."""

from __future__ import annotations

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.services.list_targets import list_targets
from ingestion.store.targets import Standing
from ingestion.targets.registry import sink_class
from mdc.cli import options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.output import out_console, print_json, span, table, when
from mdc.cli.shapes import Shape


@click.command("list", cls=SpeakingCommand)
@options.as_json(help="Print JSON.")
def list_(*, as_json: bool) -> None:
    """List targets: what is pending, for how long, and the last error."""
    found = list_targets()
    if as_json:
        print_json([_shape(one) for one in found])
        return
    if not found:
        click.echo("No targets: bars go to the bar table alone. `mdc target add --help`")
        return
    made = table(
        *("target", "kind", "state", "pending bars", "lag", "delivered", "last", "error"),
        numeric=frozenset(("pending bars", "delivered")),
    )
    for one in found:
        row = one.target
        made.add_row(
            row.name,
            row.kind,
            _state(one),
            f"{one.pending_bars:,}",
            span(one.lag) if one.pending_entries else "",
            f"{row.delivered_bars:,}",
            when(row.delivered_at),
            row.error,
        )
    console = out_console()
    console.print(made)
    if any(one.state == "no worker" for one in found):
        console.print("Nobody delivers: `mdc up` runs the process `deliver`, and so must you.")
    for kind in sorted({one.target.kind for one in found}):
        console.print(f"{kind}: {sink_class(kind).GUARANTEE}.")


def _state(one: Standing) -> str:
    if one.state == "retrying":
        return f"retry at {when(one.target.next_attempt_at)}"
    return one.state


def _shape(one: Standing) -> Shape:
    row = one.target
    return {
        "name": row.name,
        "kind": row.kind,
        "state": one.state,
        "guarantee": sink_class(row.kind).GUARANTEE,
        "config": dict(row.config),
        "batch_size": row.batch_size,
        "providers": row.providers,
        "symbols": row.symbols,
        "timeframes": row.timeframes,
        "pending_entries": one.pending_entries,
        "pending_bars": one.pending_bars,
        "lag_seconds": one.lag,
        "delivered_bars": row.delivered_bars,
        "delivered_batches": row.delivered_batches,
        "delivered_at": row.delivered_at,
        "failures": row.failures,
        "next_attempt_at": row.next_attempt_at if row.failures else None,
        "error": row.error or None,
    }
