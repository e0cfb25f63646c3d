"""`mdc backfill`: fetch history."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from django.conf import settings

from ingestion.domain.spec import JobRequest
from ingestion.domain.states import JobKind
from ingestion.services.open_job import open_job
from ingestion.services.preview_job import preview_job
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.effort import Effort, fetching_options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given, check_past
from mdc.cli.output import print_json
from mdc.cli.preview import render_preview, warn_if_no_lower
from mdc.cli.shapes import preview_shape
from mdc.cli.waiting import (
    announce,
    begin_watch,
    exit_code,
    show_summary,
    stay,
    wait_and_summarize,
)
from providers.types import Adjustment, Hours, Timeframe


@click.command(cls=SpeakingCommand)
@options.named_provider(required=True)
@options.symbols(required=True, help="Several words, commas or @file with one symbol per line.")
@options.timeframes(default=("1d",))
@options.window(
    start_required=True,
    end_help="Last day, included; a time such as 2024-01-31T15:00Z is where it stops."
    "  [default: now]",
)
@options.venue()
@options.adjustment()
@options.hours()
@click.option("--reconcile", is_flag=True, help="Fetch what is covered too, and report changes.")
@fetching_options(priority=100)
def backfill(
    *,
    provider: str,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    start: Given,
    end: Given | None,
    venue: str | None,
    adjustment: Adjustment | None,
    hours: Hours,
    reconcile: bool,
    priority: int | None,
    effort: Effort,
    dry_run: bool,
    draft: bool,
    wait: bool,
    verbose: bool,
    progress_file: Path | None,
    as_json: bool,
) -> None:
    """Fetch the history of symbols from PROVIDER into PostgreSQL.

    Only what is not covered yet is fetched. PROVIDER comes before the lists, or as --provider:
    a word after a list belongs to the list. Exit code 0: done; 1: failed or partial; 2: wrong
    usage; 130: interrupted, and the job goes on.
    """
    now = datetime.now(UTC)
    check_past(start=start, end=end, now=now)
    request = effort.applied(
        JobRequest(
            provider=provider,
            symbols=symbols,
            timeframes=timeframes,
            start=start.as_start,
            end=end.as_end if end else now,
            kind=JobKind.RECONCILE if reconcile else JobKind.BACKFILL,
            adjustment=adjustment,
            hours=hours,
            venue=venue,
            priority=priority,
        )
    )
    warn_if_no_lower(request.rate_limit, provider=provider)
    stays = wait and not (draft or dry_run)
    watch = begin_watch(verbose=verbose, progress_file=progress_file, stays=stays)
    with stay(watch):
        if dry_run:
            _show_preview(request, now=now, as_json=as_json)
            return
        opened = open_job(
            request, now=now, actor=current_actor(), egress=settings.EGRESS, draft=draft
        )
        if not stays:
            announce(opened, as_json=as_json)
            return
        (summary,) = wait_and_summarize([opened.job_id], watch=watch)
        show_summary(summary, as_json=as_json)
        raise click.exceptions.Exit(exit_code([summary]))


def _show_preview(request: JobRequest, *, now: datetime, as_json: bool) -> None:
    preview = preview_job(request, now=now)
    if as_json:
        print_json(preview_shape(preview))
    else:
        render_preview(preview, provider=request.provider)
