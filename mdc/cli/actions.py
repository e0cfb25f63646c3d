"""`mdc actions`: splits and dividends, by which prices are adjusted."""

from __future__ import annotations

from pathlib import Path

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.domain.action_files import BadActionFile
from ingestion.domain.adjusting import BY_PEOPLE
from ingestion.services.add_action import add_action
from ingestion.services.import_actions import ActionFormat, import_actions
from ingestion.services.list_actions import list_actions
from ingestion.services.withdraw_action import withdraw_action
from ingestion.store.actions import KnownAction
from mdc.cli import inputs, options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given
from mdc.cli.output import count, out_console, print_json, table, when
from mdc.cli.shapes import Shape
from mdc.cli.spoken import SpokenUsage
from providers.instruments import ActionKind, CorporateAction

_PROBLEMS_SHOWN = 20
_SOURCE = click.option(
    "--source",
    default=BY_PEOPLE,
    show_default=True,
    metavar="NAME",
    help=f"Who states it; what {BY_PEOPLE} states counts before any provider.",
)
_REASON = click.option("--reason", default="", help="Why, for the audit ledger.")
_KIND = click.argument("kind", type=click.Choice([one.value for one in ActionKind]))


@click.group()
def actions() -> None:
    """See and state splits and dividends; `--adjust` of export computes with them.

    Fetching daily, weekly or monthly bars from yahoo brings them by itself.
    """


@actions.command("list", cls=SpeakingCommand)
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
            _value(one.action),
            one.provider,
            when(one.known_from),
        )
    out_console().print(made)


@actions.command("import", cls=SpeakingCommand)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice([one.value for one in ActionFormat]),
    default=ActionFormat.CSV.value,
    show_default=True,
    help="csv: symbol,ex_date,kind,value[,currency] under a header; lean: a factor file.",
)
@click.option("--symbol", metavar="SYMBOL", help="For a file that names none.")
@click.option("--known-only", is_flag=True, help="Leave out symbols of which nothing is known.")
@_SOURCE
def import_(*, file: Path, form: str, symbol: str | None, known_only: bool, source: str) -> None:
    """Take the actions of a file, all or nothing; importing it again changes nothing."""
    try:
        done = import_actions(
            _text(file),
            name=file.name,
            form=ActionFormat(form),
            actor=current_actor(),
            symbol=symbol,
            source=source,
            known_only=known_only,
        )
    except BadActionFile as error:
        for problem in error.problems[:_PROBLEMS_SHOWN]:
            click.echo(f"{file.name}: {problem}", err=True)
        raise
    if done.left_out:
        click.echo(f"Left out, not known: {' '.join(done.left_out)}", err=True)
    click.echo(
        f"{file.name} states {count(done.stated, 'action')}; {count(done.written, 'row')} written."
    )


@actions.command(cls=SpeakingCommand)
@click.argument("symbol")
@click.argument("ex_date")
@_KIND
@click.argument("value")
@click.option("--currency", default="", metavar="CODE", help="Of a dividend.")
@_SOURCE
@_REASON
def add(
    *,
    symbol: str,
    ex_date: str,
    kind: str,
    value: str,
    currency: str,
    source: str,
    reason: str,
) -> None:
    """State one action: `mdc actions add AAPL 2014-06-09 split 7:1`.

    A dividend is cash per share in the share count of its own day. What the source said before of
    the same day and kind is replaced.
    """
    action = add_action(
        symbol,
        ex_date=ex_date,
        kind=kind,
        value=value,
        currency=currency,
        source=source,
        actor=current_actor(),
        reason=reason,
    )
    click.echo(f"{source} states: {symbol} {action.kind} {_value(action)} on {action.ex_date}.")


@actions.command(cls=SpeakingCommand)
@click.argument("symbol")
@click.argument("ex_date", type=inputs.moment)
@_KIND
@_SOURCE
@_REASON
def withdraw(*, symbol: str, ex_date: Given, kind: str, source: str, reason: str) -> None:
    """Take one statement back; reads as of an earlier time still know it."""
    gone = withdraw_action(
        symbol,
        ex_date=ex_date.moment.date(),
        kind=ActionKind(kind),
        source=source,
        actor=current_actor(),
        reason=reason,
    )
    click.echo(f"{source} no longer states: {symbol} {kind} {_value(gone)} on {gone.ex_date}.")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpokenUsage(f"{file} is no UTF-8 text; save it as such") from error


def _value(action: CorporateAction) -> str:
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
