"""`mdc definition`: datasets that are to be kept complete and fresh."""

from __future__ import annotations

from typing import Final

import click

from mdc.cli.groups import Entry, LazyGroup

COMMANDS: Final = {
    "list": Entry("mdc.cli.definition_show:list_", "List datasets that are kept."),
    "show": Entry("mdc.cli.definition_show:show", "Show one: promises, schedules, last jobs."),
    "add": Entry("mdc.cli.definition_add:add", "Declare a dataset."),
    "start": Entry("mdc.cli.definition_acts:start", "Start one job of it, now."),
    "remove": Entry("mdc.cli.definition_acts:remove", "Forget a dataset and its schedules."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def definition() -> None:
    """Declare datasets: which symbols and bars, from when on, from whom, and how fresh.

    `mdc schedule` says when they are looked after.
    """
