"""`mdc definition add`."""

from __future__ import annotations

from datetime import timedelta

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion import clock
from ingestion.domain.retry import RETRY_CLASSES
from ingestion.domain.spec import DEFAULT_CONCURRENCY
from ingestion.services.check_settling import early_close, usual_close
from ingestion.services.declare_definition import (
    DEFAULT_PRIORITY,
    DefinitionRequest,
    declare_definition,
)
from ingestion.services.list_schedules import list_schedules
from mdc.cli import inputs, options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand, SpokenUsage
from mdc.cli.inputs import Given
from mdc.cli.output import count
from mdc.cli.words import ListOption, split_words
from providers.types import Adjustment, Hours, Timeframe


@click.command(cls=SpeakingCommand)
@click.argument("name")
@options.symbols(required=True, help="What is kept; several words, commas or @file.")
@options.timeframes(default=("1d",), help="The bar length, one of 1m 5m 15m 30m 1h 4h 1d 1w 1mo.")
@options.start(required=True, help="First day of history to keep (UTC).")
@click.option(
    "--providers",
    "--provider",
    "providers",
    cls=ListOption,
    required=True,
    metavar="A B|A,B",
    help="Who is asked; the next one where the first is stopped.",
)
@options.venue()
@options.hours()
@options.adjustment(help="The price basis.  [default: the provider's own]")
@click.option(
    "--freshness",
    type=inputs.span,
    metavar="SPAN",
    help="A session must be complete so soon after its close.",
)
@click.option(
    "--verify-after",
    "verify_after",
    cls=ListOption,
    metavar="A B|A,B",
    help="Fetch each session again at these ages, such as 1h,1d,7d: vendors revise.",
)
@click.option("--deadline", type=inputs.span, metavar="SPAN", help="One job may take so long.")
@click.option(
    "--stale-after",
    type=inputs.span,
    metavar="SPAN",
    help="Drop retries that would come later than this after the job was due.",
)
@options.priority(default=DEFAULT_PRIORITY)
@click.option(
    "--weight",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Its share of the account's budget among jobs of the same priority.",
)
@click.option(
    "--retry-class",
    default="fast",
    show_default=True,
    metavar="NAME",
    help=f"How failures are tried again: {', '.join(sorted(RETRY_CLASSES))} or your own.",
)
@click.option(
    "--tries",
    type=click.IntRange(1, 1000),
    help="Tries of one slice; as many as the retry class allows by default.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    help="Requests of one job at a time.",
)
def add(
    *,
    name: str,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    start: Given,
    providers: tuple[str, ...],
    venue: str | None,
    hours: Hours,
    adjustment: Adjustment | None,
    freshness: timedelta | None,
    verify_after: tuple[str, ...],
    deadline: timedelta | None,
    stale_after: timedelta | None,
    priority: int | None,
    weight: int,
    retry_class: str,
    tries: int | None,
    concurrency: int,
) -> None:
    """Declare a dataset that is to be kept complete; `mdc schedule add` says when."""
    if len(timeframes) != 1:
        raise SpokenUsage("a definition has one bar length; declare one definition for each")
    ages = [inputs.span(word) for word in split_words(verify_after)]
    declare_definition(
        DefinitionRequest(
            name=name,
            symbols=symbols,
            timeframe=timeframes[0],
            history_start=start.moment.date(),
            providers=split_words(providers),
            adjustment=adjustment,
            hours=hours,
            venue=venue or "",
            freshness=freshness,
            deadline=deadline,
            stale_after=stale_after,
            priority=DEFAULT_PRIORITY if priority is None else priority,
            weight=weight,
            retry_class=retry_class,
            tries=tries,
            max_concurrency=concurrency,
        ),
        now=clock.now(),
        actor=current_actor(),
        verify_after=ages,
    )
    click.echo(f"{name} keeps {count(len(symbols), 'symbol')} at {timeframes[0]}.")
    for one in list_schedules(definition=name):
        schedule = one.schedule
        click.echo(f"{schedule.name}: {schedule.action} {schedule.words}.")
        if schedule.rule and (
            warning := early_close(name, rule=schedule.rule, action=schedule.action)
        ):
            click.echo(f"mdc: {schedule.name}: {warning}", err=True)
    click.echo(
        f"Next: mdc definition start {name}; by itself:"
        f' mdc schedule add {name} {name} "{usual_close(split_words(providers))}"'
    )
