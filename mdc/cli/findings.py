"""`mdc findings`: what looks wrong, and what is done about it."""

from __future__ import annotations

from typing import Final

import click

from mdc.cli.groups import Entry, LazyGroup

COMMANDS: Final = {
    "list": Entry("mdc.cli.findings_list:list_", "List what is open, newest first."),
    "show": Entry("mdc.cli.findings_list:show", "Show one finding with its evidence."),
    "accept": Entry("mdc.cli.findings_acts:accept", "Say why findings stay as they are."),
    "repair": Entry("mdc.cli.findings_acts:repair", "Fetch again what findings are about."),
    "reopen": Entry("mdc.cli.findings_acts:reopen", "Open findings again."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def findings() -> None:
    """See what looks wrong in the data, have it repaired, or say why it stays."""
