"""`mdc target`: where committed bars are delivered besides the bar table."""

from __future__ import annotations

from typing import Final

import click

from mdc.cli.groups import Entry, LazyGroup

COMMANDS: Final = {
    "add": Entry("mdc.cli.target_add:add", "Declare a Parquet lake, a message bus or a webhook."),
    "test": Entry("mdc.cli.target_add:test", "Deliver one empty batch from this shell."),
    "list": Entry("mdc.cli.target_list:list_", "Show what is pending, and the last error."),
    "pause": Entry("mdc.cli.target_acts:pause", "Withhold deliveries; collect meanwhile."),
    "resume": Entry("mdc.cli.target_acts:resume", "Let deliveries go on, at once."),
    "replay": Entry("mdc.cli.target_acts:replay", "Deliver what is stored already."),
    "resize": Entry("mdc.cli.target_acts:resize", "Change the batch size."),
    "remove": Entry("mdc.cli.target_acts:remove", "Forget a target and what is pending for it."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def target() -> None:
    """Deliver committed bars elsewhere: a Parquet lake, a message bus, a webhook.

    The bar table is always the truth; a target that fails delays nothing and loses nothing.
    """
