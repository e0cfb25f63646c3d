"""`mdc actions import | add | withdraw`: what people state of splits and dividends."""

from __future__ import annotations

from pathlib import Path

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.domain.action_files import BadActionFile
from ingestion.domain.adjusting import BY_PEOPLE
from ingestion.services.add_action import add_action
from ingestion.services.import_actions import ActionFormat, import_actions
from ingestion.services.withdraw_action import withdraw_action
from mdc.cli import inputs, options
from mdc.cli.action_list import spell_value
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given
from mdc.cli.output import count
from mdc.cli.spoken import SpokenUsage
from providers.instruments import ActionKind

_PROBLEMS_SHOWN = 20
_SOURCE = click.option(
    "--source",
    default=BY_PEOPLE,
    show_default=True,
    metavar="NAME",
    help=f"Who states it; what {BY_PEOPLE} states counts before any provider.",
)
_KIND = click.argument("kind", type=click.Choice([one.value for one in ActionKind]))


@click.command("import", cls=SpeakingCommand)
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


@click.command(cls=SpeakingCommand)
@click.argument("symbol")
@click.argument("ex_date")
@_KIND
@click.argument("value")
@click.option("--currency", default="", metavar="CODE", help="Of a dividend.")
@_SOURCE
@options.reason()
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
    click.echo(
        f"{source} states: {symbol} {action.kind} {spell_value(action)} on {action.ex_date}."
    )


@click.command(cls=SpeakingCommand)
@click.argument("symbol")
@click.argument("ex_date", type=inputs.moment)
@_KIND
@_SOURCE
@options.reason()
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
    said = f"{symbol} {gone.kind} {spell_value(gone)} on {gone.ex_date}"
    click.echo(f"{source} no longer states: {said}.")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpokenUsage(f"{file} is no UTF-8 text; save it as such") from error
