"""`mdc signal`: say that something happened, so that what waits for it starts."""

from __future__ import annotations

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion import clock
from ingestion.domain.windows import Window
from ingestion.services.raise_signal import raise_signal
from ingestion.store.signals import Listener, listeners
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand, SpokenUsage
from mdc.cli.inputs import Given
from mdc.cli.output import count, iso, print_json, when
from providers.types import Timeframe


@click.command(cls=SpeakingCommand)
@click.argument("name")
@options.symbols(help="What it concerns; everything of whoever listens without it.")
@options.timeframes(help="The bar length that it concerns; every one without it.")
@options.window(
    start_help="First day that it concerns (UTC); with --end.",
    end_help="Last day, included; a time such as 2024-01-31T15:00Z is excluded.",
)
@click.option("--reason", default="", help="Why, for whoever reads it later.")
@options.as_json()
def signal(
    *,
    name: str,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    start: Given | None,
    end: Given | None,
    reason: str,
    as_json: bool,
) -> None:
    """Raise a signal: schedules with the rule `on signal NAME` start for what it concerns.

    mdc itself raises gap, spike, stale and the other kinds of findings, freshness_breached,
    deadline_missed, realtime_gap and schedule_paused; any other name is yours.
    """
    if len(timeframes) > 1:
        raise SpokenUsage("a signal concerns one bar length, or all; raise one signal for each")
    signal_id = raise_signal(
        name,
        actor=current_actor(),
        now=clock.now(),
        symbols=symbols,
        timeframe=timeframes[0] if timeframes else None,
        window=_window(start, end),
        reason=reason,
    )
    heard = listeners(signal_id)
    if as_json:
        print_json(
            {
                "signal": signal_id,
                "schedules": [
                    {
                        "schedule": one.schedule,
                        "definition": one.definition,
                        "fires_at": iso(one.fires_at) if one.fires_at else None,
                        "paused": one.paused,
                    }
                    for one in heard
                ],
            }
        )
        return
    click.echo(f"Signal {signal_id} ({name}) is heard by {count(len(heard), 'schedule')}.")
    for one in heard:
        click.echo(_sentence(one))
    if not heard:
        click.echo(
            f'Next: mdc schedule add NAME DEFINITION "on signal {name}" lets a definition that has'
            " these symbols listen."
        )


def _window(start: Given | None, end: Given | None) -> Window | None:
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise SpokenUsage("give both --start and --end, or neither")
    return Window(start.as_start, end.as_end)


def _sentence(one: Listener) -> str:
    if one.paused:
        return f"{one.schedule} is paused: it notes the signal and starts nothing."
    at = f"at {when(one.fires_at)}" if one.fires_at else "in a moment"
    return f"{one.schedule} starts {one.definition} {at}."
