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
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.effort import Effort, effort_options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given
from mdc.cli.preview import warn_if_no_lower
from mdc.cli.waiting import announce
from providers.types import Hours, Timeframe


@click.command(cls=SpeakingCommand)
@options.named_provider(required=True)
@options.symbols(required=True, help="Several words, commas or @file with one symbol per line.")
@options.timeframes(default=("1m",))
@click.option(
    "--every",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How often to ask.",
)
@options.start(
    help="Keep everything from here on, as far as one poll reaches.  [default: now]",
)
@options.hours()
@options.venue()
@options.priority(default=200)
@effort_options()
@options.draft()
@options.as_json()
def poll(
    *,
    provider: str,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    every: int,
    start: Given | None,
    hours: Hours,
    venue: str | None,
    priority: int | None,
    effort: Effort,
    draft: bool,
    as_json: bool,
) -> None:
    """Ask PROVIDER for the newest bars of symbols, every few seconds.

    The job goes through the same states as a backfill: `mdc job pause | resume | cancel` it. Bars
    that are still forming are stored as such and replaced until they are final.
    """
    now = datetime.now(UTC)
    request = effort.applied(
        JobRequest(
            provider=provider,
            symbols=symbols,
            timeframes=timeframes,
            start=start.as_start if start else now - max(one.duration for one in timeframes),
            end=None,
            workload=Workload.REALTIME,
            kind=JobKind.UPDATE,
            hours=hours,
            venue=venue,
            priority=priority,
            poll_seconds=every,
        )
    )
    warn_if_no_lower(request.rate_limit, provider=provider)
    opened = open_job(request, now=now, actor=current_actor(), egress=settings.EGRESS, draft=draft)
    announce(opened, as_json=as_json)
