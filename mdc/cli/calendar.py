"""`mdc calendar`: the sessions of venues, and what people declare of them."""

from __future__ import annotations

from typing import Final

import click

from mdc.cli.groups import Entry, LazyGroup

COMMANDS: Final = {
    "sessions": Entry("mdc.cli.calendar_sessions:sessions", "List the sessions of a venue."),
    "show": Entry("mdc.cli.calendar_sessions:show", "Say how far a calendar is known, and more."),
    "override": Entry(
        "mdc.cli.calendar_override:override",
        "Declare closures, other hours, halts; take them back.",
    ),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def calendar() -> None:
    """See when venues trade; declare what the calendars do not know.

    VENUE is an exchange's MIC such as XNYS, XLON or CMES, 24/7 for crypto or FX for foreign
    exchange.
    """
