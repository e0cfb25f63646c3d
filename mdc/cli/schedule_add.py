"""`mdc schedule add`."""

from __future__ import annotations

from datetime import timedelta

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion import clock
from ingestion.domain.rules import parse_rule
from ingestion.domain.schedules import Catchup, Overlap, ScheduleAction
from ingestion.services.check_settling import early_close
from ingestion.services.declare_schedule import ScheduleRequest, declare_schedule
from ingestion.services.show_schedule import show_next
from mdc.cli import inputs, options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given
from mdc.cli.output import out_console
from mdc.cli.schedule_view import outlook_table
from mdc.cli.words import ListOption, split_words

_SHOWN = 3
_PAIR = ".."


@click.command(cls=SpeakingCommand)
@click.argument("name")
@click.argument("definition")
@click.argument("rule", nargs=-1, required=True)
@click.option(
    "--venue", metavar="MIC", default="", help="Whose sessions; the definition's if not given."
)
@click.option("--tz", metavar="ZONE", default="", help="Whose clock; the venue's, or UTC.")
@click.option(
    "--action",
    type=click.Choice([one.value for one in ScheduleAction]),
    default=ScheduleAction.UPDATE.value,
    show_default=True,
    help="What it starts: fetch what lacks, look again, fetch a signal's window, check quality.",
)
@click.option(
    "--overlap",
    type=click.Choice([one.value for one in Overlap]),
    default=Overlap.SKIP.value,
    show_default=True,
    help="While its last job is open.",
)
@click.option(
    "--catchup",
    type=click.Choice([one.value for one in Catchup]),
    default=Catchup.LATEST.value,
    show_default=True,
    help="For what came due while nobody fired.",
)
@click.option("--max-lateness", type=inputs.span, metavar="SPAN", help="Later slots are skipped.")
@click.option("--jitter", type=inputs.span, metavar="SPAN", help="Fire up to so much later.")
@click.option(
    "--cooldown",
    type=inputs.span,
    default="5min",
    show_default=True,
    metavar="SPAN",
    help="For signals: at most one job in this time.",
)
@click.option(
    "--gather",
    type=inputs.span,
    default="5s",
    show_default=True,
    metavar="SPAN",
    help="For signals: wait so long for others.",
)
@options.window(
    start_help="Not due before.", end_help="Not due after this day, or from this time on."
)
@click.option(
    "--exclude",
    cls=ListOption,
    metavar="DAY|FROM..BEFORE",
    help="Days on which it does not fire.",
)
@click.option(
    "--pause-after",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Pause after so many failed jobs in a row.",
)
@options.reason()
def add(
    *,
    name: str,
    definition: str,
    rule: tuple[str, ...],
    venue: str,
    tz: str,
    action: str,
    overlap: str,
    catchup: str,
    max_lateness: timedelta | None,
    jitter: timedelta | None,
    cooldown: timedelta,
    gather: timedelta,
    start: Given | None,
    end: Given | None,
    exclude: tuple[str, ...],
    pause_after: int | None,
    reason: str,
) -> None:
    """Let a definition be due by a rule.

    \b
    RULE is one of
      "close + 35 min", "open - 5 min"             of each session of --venue
      "first session of the week, close + 1 h"     or last, month, open
      "every 1 min while open"                     not in breaks or halts
      "cron 30 18 * * 1-5"                         by the clock of --tz
      "every 6 h", "once 2026-11-21T18:00Z"
      "on signal gap"                              when somebody raises it
    """
    now = clock.now()
    parsed = parse_rule(" ".join(rule))
    declare_schedule(
        ScheduleRequest(
            name=name,
            definition=definition,
            rule=parsed,
            action=ScheduleAction(action),
            tz=tz,
            venue=venue,
            overlap=Overlap(overlap),
            catchup=Catchup(catchup),
            max_lateness=max_lateness,
            jitter=jitter,
            cooldown=cooldown,
            gather=gather,
            starts_at=start.as_start if start else None,
            ends_at=end.as_end if end else None,
            exclusions=[one.split(_PAIR) if _PAIR in one else one for one in split_words(exclude)],
            pause_after_failures=pause_after,
        ),
        now=now,
        actor=current_actor(),
        reason=reason,
    )
    schedule, outlook = show_next(name, now=now, count=_SHOWN)
    console = out_console()
    console.print(f"{name}: {schedule.action} {schedule.definition} {schedule.words}.")
    if outlook.upcoming:
        console.print(outlook_table(outlook))
    if warning := early_close(definition, rule=parsed, action=schedule.action):
        click.echo(f"mdc: {warning}", err=True)
