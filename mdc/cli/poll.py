"""`mdc poll`: ask for the newest bars again and again, until the job is paused or cancelled."""

from __future__ import annotations

from datetime import UTC, datetime

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from django.conf import settings

from ingestion.domain.spec import JobRequest
from ingestion.domain.states import JobKind, Workload
from ingestion.services.open_job import open_job
from mdc.cli import inputs
from mdc.cli.backfill import announce, current_actor
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given
from providers.registry import get_adapter
from providers.types import Hours, Timeframe


@click.command(cls=SpeakingCommand)
@click.argument("provider")
@click.option(
    "--symbols",
    "--symbol",
    multiple=True,
    required=True,
    callback=inputs.join_symbols,
    metavar="A,B",
    help="Symbols, separated by commas or repeated.",
)
@click.option(
    "--timeframe",
    "--timeframes",
    "timeframes",
    multiple=True,
    type=inputs.timeframes,
    default=("1m",),
    show_default=True,
    callback=inputs.join_timeframes,
    metavar="T,T",
    help="Bar lengths.",
)
@click.option(
    "--every",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How often to ask.",
)
@click.option(
    "--start",
    type=inputs.moment,
    metavar="DATE",
    help="Keep everything from here on, as far as one poll reaches.  [default: now]",
)
@click.option(
    "--hours", type=click.Choice([one.value for one in Hours]), default="regular", show_default=True
)
@click.option("--venue", metavar="MIC", help="Calendar of symbols not known yet.  [default: XNYS]")
@click.option("--priority", type=click.IntRange(0, 255), help="Higher goes first.  [default: 200]")
@click.option("--draft", is_flag=True, help="Make the job, and let `mdc job start` start it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def poll(
    *,
    provider: str,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    every: int,
    start: Given | None,
    hours: str,
    venue: str | None,
    priority: int | None,
    draft: bool,
    as_json: bool,
) -> None:
    """Ask PROVIDER for the newest bars of symbols, every few seconds.

    The job goes through the same states as a backfill: `mdc job pause | resume | cancel` it. Bars
    that are still forming are stored as such and replaced until they are final.
    """
    now = datetime.now(UTC)
    request = JobRequest(
        provider=get_adapter(provider).name,
        symbols=symbols,
        timeframes=timeframes,
        start=start.as_start if start else now - max(one.duration for one in timeframes),
        end=None,
        workload=Workload.REALTIME,
        kind=JobKind.UPDATE,
        hours=Hours(hours),
        venue=venue,
        priority=priority,
        poll_seconds=every,
    )
    opened = open_job(request, now=now, actor=current_actor(), egress=settings.EGRESS, draft=draft)
    announce(opened, as_json=as_json)
