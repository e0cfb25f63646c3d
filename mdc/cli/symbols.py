"""`mdc symbols`: what is known of symbols, and how providers call them."""

from __future__ import annotations

import click

from mdc.cli.groups import Entry, LazyGroup

_COMMANDS = {
    "search": Entry(
        "mdc.cli.symbol_reads:search", "Find symbols by symbol, name or a provider's spelling."
    ),
    "show": Entry("mdc.cli.symbol_reads:show", "Print all that is known, and who stated it."),
    "add": Entry("mdc.cli.symbol_acts:add", "Make a symbol known, or correct it."),
    "map": Entry("mdc.cli.symbol_acts:map_", "Say how a provider calls a symbol, and when."),
    "unmap": Entry("mdc.cli.symbol_acts:unmap", "Forget a provider's name of a symbol."),
}


@click.group(cls=LazyGroup, table=_COMMANDS)
def symbols() -> None:
    """See and say what symbols are: venue, dates, volume, and each provider's name for them."""
