"""`mdc schedule show` and `mdc schedule next`."""

from __future__ import annotations

from collections.abc import Iterator

import click
from rich.console import Console

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion import clock
from ingestion.services.show_schedule import COUNTED, Outlook, Shown, show_next, show_schedule
from ingestion.store.schedule_reads import ScheduleView
from mdc.cli import options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.output import out_console, print_json, when
from mdc.cli.schedule_view import (
    outlook_shape,
    outlook_table,
    plain_span,
    schedule_shape,
    shown_shape,
    slots_table,
    state_words,
)

_MOST = 1000


@click.command("next", cls=SpeakingCommand)
@click.argument("name")
@click.option(
    "-n",
    "--count",
    type=click.IntRange(1, _MOST),
    default=10,
    show_default=True,
    help="How many due times.",
)
@options.as_json()
def next_(*, name: str, count: int, as_json: bool) -> None:
    """Say when a schedule is due next, by the venue's clock and in UTC, and why odd times are.

    Half days, late opens, special sessions, halts and changed clocks are named.
    """
    schedule, outlook = show_next(name, now=clock.now(), count=count)
    if as_json:
        print_json({**schedule_shape(schedule), **outlook_shape(outlook)})
        return
    console = out_console()
    console.print(f"{schedule.name}: {schedule.words}")
    _print_outlook(schedule, outlook, console)


@click.command(cls=SpeakingCommand)
@click.argument("name")
@options.as_json()
def show(*, name: str, as_json: bool) -> None:
    """Show one schedule: its rule and policies, its next due times and what became of the last."""
    shown = show_schedule(name, now=clock.now())
    if as_json:
        print_json(shown_shape(shown))
        return
    console = out_console()
    schedule = shown.schedule
    console.print(f"{schedule.name}: {schedule.action} {schedule.definition} {schedule.words}")
    for line in _facts(schedule):
        console.print(f"  {line}")
    if shown.warning:
        console.print(f"  note       {shown.warning}", soft_wrap=True)
    console.print()
    _print_outlook(schedule, shown.outlook, console)
    console.print()
    _print_slots(shown, console)


def _print_outlook(schedule: ScheduleView, outlook: Outlook, console: Console) -> None:
    if schedule.state != "on":
        console.print(f"State: {state_words(schedule)}.")
    if outlook.upcoming:
        console.print(outlook_table(outlook))
    if schedule.listens:
        due = schedule.next_due_at
        console.print(f"Due at {when(due)}." if due else "Due when the signal is raised.")
    elif outlook.ends:
        console.print(f"No more: {outlook.ends}.")


def _print_slots(shown: Shown, console: Console) -> None:
    if not shown.slots:
        console.print("It has not come due yet.")
        return
    console.print(slots_table(shown.slots, shown.outlook.zone))
    counts = ", ".join(f"{number:,} {one.value}" for one, number in shown.counts.items())
    console.print(f"In {COUNTED.days} days: {counts or 'nothing came due'}.")


def _facts(schedule: ScheduleView) -> Iterator[str]:
    yield f"rule       {schedule.text}, clock of {schedule.tz}" + (
        f", sessions of {schedule.venue}" if schedule.venue else ""
    )
    yield f"state      {state_words(schedule)}"
    yield f"overlap    {schedule.overlap}"
    late = schedule.max_lateness
    yield f"catch-up   {schedule.catchup}" + (
        f", at most {plain_span(late)} late" if late is not None else ""
    )
    if schedule.jitter:
        yield f"jitter     up to {plain_span(schedule.jitter)}"
    if schedule.listens:
        yield (
            f"signals    gathered for {plain_span(schedule.gather)},"
            f" then at most one job in {plain_span(schedule.cooldown)}"
        )
    if schedule.starts_at or schedule.ends_at:
        yield f"from       {when(schedule.starts_at)} until {when(schedule.ends_at)}"
    if schedule.exclusions:
        yield f"excluded   {', '.join(_day(one) for one in schedule.exclusions)}"
    if schedule.pause_after_failures:
        yield (
            f"pauses     after {schedule.pause_after_failures} failed jobs in a row"
            f" ({schedule.failures} now)"
        )
    if schedule.note and schedule.paused_at is None:
        yield f"resumed    {schedule.note}"


def _day(exclusion: str | list[str]) -> str:
    return exclusion if isinstance(exclusion, str) else "..".join(exclusion)
