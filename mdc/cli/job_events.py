"""`mdc job events`."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.services.list_events import list_events
from mdc.cli.errors import SpeakingCommand
from mdc.cli.output import out_console, print_json, table
from mdc.cli.shapes import event_shape


@click.command(cls=SpeakingCommand)
@click.argument("job_id", type=int)
@click.option("--after", "after_id", type=int, default=0, metavar="ID", help="Only later events.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def events(*, job_id: int, after_id: int, limit: int, as_json: bool) -> None:
    """Show who did what to a job, and when."""
    found = list_events(job_id, after_id=after_id, limit=limit)
    if as_json:
        print_json([event_shape(event) for event in found])
        return
    made = table("event", "at", "who", "through", "did", "before", "after", "why")
    for event in found:
        made.add_row(
            str(event.id),
            f"{event.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z",
            event.actor,
            event.source,
            event.action,
            _facts(event.before),
            _facts(event.after),
            event.reason,
        )
    console = out_console()
    console.print(made)
    if len(found) == limit:
        console.print(f"Later ones: mdc job events {job_id} --after {found[-1].id}")


def _facts(values: dict[str, Any] | None) -> str:
    return ", ".join(f"{key} {value}" for key, value in (values or {}).items())
