"""`mdc schedule list`."""

from __future__ import annotations

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.services.list_schedules import list_schedules
from mdc.cli import options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.output import NOTHING, out_console, print_json, table, when
from mdc.cli.schedule_view import listed_shape, state_words


@click.command("list", cls=SpeakingCommand)
@click.option("--definition", metavar="NAME", help="Only those of this definition.")
@options.as_json("Print JSON.")
def list_(*, definition: str | None, as_json: bool) -> None:
    """List schedules: what they start, when, and what became of the last due time."""
    found = list_schedules(definition=definition)
    if as_json:
        print_json([listed_shape(one) for one in found])
        return
    if not found:
        click.echo('No schedules. `mdc schedule add NAME DEFINITION "close + 35 min"` makes one.')
        return
    made = table("schedule", "definition", "starts", "when", "next due", "state", "last")
    for one in found:
        schedule = one.schedule
        made.add_row(
            schedule.name,
            schedule.definition,
            schedule.action.value,
            schedule.words,
            when(schedule.next_due_at),
            state_words(schedule),
            f"{one.last.disposition.value} {when(one.last.due)}" if one.last else NOTHING,
        )
    out_console().print(made)
