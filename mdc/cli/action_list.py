"""`mdc actions list`: what is known of splits and dividends."""

from __future__ import annotations

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.services.list_actions import list_actions
from ingestion.store.action_reads import KnownAction
from mdc.cli import inputs, options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given
from mdc.cli.output import out_console, print_json, table, when
from mdc.cli.shapes import Shape
from providers.instruments import ActionKind, CorporateAction


@click.command("list", cls=SpeakingCommand)
@options.symbols()
@click.option("--source", metavar="NAME", help="Only what this provider, or user, states.")
@click.option(
    "--as-of", type=inputs.moment, metavar="TIME", help="What was known then.  [default: now]"
)
@options.as_json()
def list_(
    *, symbols: tuple[str, ...], source: str | None, as_of: Given | None, as_json: bool
) -> None:
    """List actions by symbol and date."""
    found = list_actions(
        symbols=symbols, source=source, as_of=as_of.moment if as_of is not None else None
    )
    if as_json:
        print_json([_shape(one) for one in found])
        return
    if not found:
        click.echo("No splits or dividends; `mdc backfill yahoo --timeframe 1d ...` brings them.")
        return
    made = table("symbol", "ex-date", "kind", "value", "source", "known from")
    for one in found:
        made.add_row(
            one.symbol,
            one.action.ex_date.isoformat(),
            one.action.kind.value,
            spell_value(one.action),
            one.provider,
            when(one.known_from),
        )
    out_console().print(made)


def spell_value(action: CorporateAction) -> str:
    """Spell a split as 7:1 or 1:10, a dividend with its currency."""
    if action.kind is ActionKind.DIVIDEND:
        return f"{action.value:g} {action.currency}".rstrip()
    if action.value >= 1:
        return f"{action.value:.10g}:1"
    return f"1:{1 / action.value:.10g}"


def _shape(one: KnownAction) -> Shape:
    return {
        "symbol": one.symbol,
        "ex_date": one.action.ex_date,
        "kind": one.action.kind,
        "value": one.action.value,
        "currency": one.action.currency,
        "source": one.provider,
        "known_from": one.known_from,
        "known_to": one.known_to,
    }
