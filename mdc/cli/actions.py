"""`mdc actions`: splits and dividends, by which prices are adjusted."""

from __future__ import annotations

from typing import Final

import click

from mdc.cli.groups import Entry, LazyGroup

COMMANDS: Final = {
    "list": Entry("mdc.cli.action_list:list_", "List splits and dividends by symbol and date."),
    "import": Entry("mdc.cli.action_changes:import_", "Take those of a table or LEAN factor file."),
    "add": Entry("mdc.cli.action_changes:add", "State one, or correct it."),
    "withdraw": Entry("mdc.cli.action_changes:withdraw", "Take one statement back."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def actions() -> None:
    """See and state splits and dividends; `mdc export --adjust` computes with them.

    Fetching daily, weekly or monthly bars from yahoo brings them by itself.
    """
