"""`mdc watchlist`: named lists of symbols."""

from __future__ import annotations

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.services.change_watchlist import (
    add_to_watchlist,
    remove_from_watchlist,
    set_watchlist,
)
from ingestion.services.delete_watchlist import delete_watchlist
from ingestion.services.show_watchlist import list_watchlists, show_watchlist
from ingestion.store.watchlists import WatchlistRow
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand
from mdc.cli.output import count, out_console, print_json, table, when
from mdc.cli.shapes import Shape
from mdc.cli.words import split_words

_SYMBOLS_SHOWN = 8
_SYMBOLS = click.argument("words", nargs=-1, required=True, metavar="SYMBOLS...")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def watchlist() -> None:
    """Keep named lists of symbols; --watchlist NAME uses one wherever --symbols is taken.

    SYMBOLS are several words, commas, or @file with one symbol per line.
    """


@watchlist.command("set", cls=SpeakingCommand)
@click.argument("name")
@_SYMBOLS
@options.reason()
def set_(*, name: str, words: tuple[str, ...], reason: str) -> None:
    """Make a list, or replace what it holds."""
    held = set_watchlist(name, symbols=split_words(words), actor=current_actor(), reason=reason)
    _say(name, held)


@watchlist.command(cls=SpeakingCommand)
@click.argument("name")
@_SYMBOLS
@options.reason()
def add(*, name: str, words: tuple[str, ...], reason: str) -> None:
    """Append symbols that the list lacks."""
    held = add_to_watchlist(name, symbols=split_words(words), actor=current_actor(), reason=reason)
    _say(name, held)


@watchlist.command(cls=SpeakingCommand)
@click.argument("name")
@_SYMBOLS
@options.reason()
def remove(*, name: str, words: tuple[str, ...], reason: str) -> None:
    """Take symbols off the list; what is stored of them stays."""
    held = remove_from_watchlist(
        name, symbols=split_words(words), actor=current_actor(), reason=reason
    )
    _say(name, held)


@watchlist.command(cls=SpeakingCommand)
@click.argument("name")
@_JSON
def show(*, name: str, as_json: bool) -> None:
    """Print the symbols of a list, one a line; that is a file for --symbols @file too."""
    found = show_watchlist(name)
    if as_json:
        print_json(_shape(found))
        return
    for symbol in found.symbols:
        click.echo(symbol)


@watchlist.command("list", cls=SpeakingCommand)
@_JSON
def list_(*, as_json: bool) -> None:
    """List all watchlists."""
    found = list_watchlists()
    if as_json:
        print_json([_shape(one) for one in found])
        return
    if not found:
        click.echo("No watchlists. `mdc watchlist set NAME SYMBOLS ...` makes one.")
        return
    made = table("watchlist", "symbols", "changed", "", numeric=frozenset(("symbols",)))
    for one in found:
        more = len(one.symbols) - _SYMBOLS_SHOWN
        some = " ".join(one.symbols[:_SYMBOLS_SHOWN]) + (f" +{more}" if more > 0 else "")
        made.add_row(one.name, f"{len(one.symbols):,}", when(one.updated_at), some)
    out_console().print(made)


@watchlist.command(cls=SpeakingCommand)
@click.argument("name")
@options.reason()
def delete(*, name: str, reason: str) -> None:
    """Remove a list; what is stored of its symbols stays."""
    delete_watchlist(name, actor=current_actor(), reason=reason)
    click.echo(f"The watchlist {name} is gone; what is stored of its symbols stays.")


def _say(name: str, held: tuple[str, ...]) -> None:
    click.echo(
        f"{name} holds {count(len(held), 'symbol')}. Next: mdc update PROVIDER --watchlist {name}"
    )


def _shape(found: WatchlistRow) -> Shape:
    return {
        "name": found.name,
        "symbols": list(found.symbols),
        "updated_at": found.updated_at,
    }
