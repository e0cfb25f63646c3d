"""`mdc backfill`: fetch history."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime, timedelta

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from django.conf import settings

from ingestion.domain.actor import Actor
from ingestion.domain.retry import RETRY_CLASSES
from ingestion.domain.spec import JobRequest
from ingestion.domain.states import JobKind, Outcome
from ingestion.services.open_job import OpenedJob, open_job
from ingestion.services.preview_job import Preview, preview_job
from ingestion.services.summarize_job import JobSummary, summarize_job
from mdc.cli import inputs
from mdc.cli.errors import FAILED, INTERRUPTED, SpeakingCommand, SpokenUsage
from mdc.cli.follow import follow_job
from mdc.cli.inputs import Given, check_order, check_past
from mdc.cli.output import count, error_console, out_console, print_json, span, table
from mdc.cli.shapes import preview_shape, summary_shape
from mdc.cli.summary_table import render_summary
from providers.base import RateLimit
from providers.registry import adapter_names, get_adapter
from providers.types import Adjustment, Hours, Timeframe


def current_actor() -> Actor:
    """Name the person at the terminal for the audit ledger."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        name = f"uid {os.getuid()}"
    return Actor(name=name, source="cli")


@click.command(cls=SpeakingCommand)
@click.argument("provider", required=False)
@click.option("--provider", "named_provider", metavar="NAME", help="The provider, as an option.")
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
    default=("1d",),
    show_default=True,
    callback=inputs.join_timeframes,
    metavar="T,T",
    help="Bar lengths: 1m 5m 15m 30m 1h 4h 1d 1w 1mo.",
)
@click.option("--start", type=inputs.moment, required=True, metavar="DATE", help="First day (UTC).")
@click.option(
    "--end",
    type=inputs.moment,
    metavar="DATE",
    help="Last day, included; a time such as 2024-01-31T15:00Z is where it stops.  [default: now]",
)
@click.option("--venue", metavar="MIC", help="Calendar of symbols not known yet.  [default: XNYS]")
@click.option("--adjustment", type=click.Choice([one.value for one in Adjustment]))
@click.option(
    "--hours", type=click.Choice([one.value for one in Hours]), default="regular", show_default=True
)
@click.option("--reconcile", is_flag=True, help="Fetch what is covered too, and report changes.")
@click.option(
    "--rate-limit", type=inputs.rate, metavar="N/TIME", help="5/s, 60/min ...; only lowers."
)
@click.option(
    "--max-retries", type=click.IntRange(0, 100), help="Tries after the first one, per slice."
)
@click.option(
    "--retry-class",
    default="fast",
    show_default=True,
    metavar="NAME",
    help=f"{', '.join(RETRY_CLASSES)}, or one of your own.",
)
@click.option("--priority", type=click.IntRange(0, 255), help="Higher goes first.  [default: 100]")
@click.option("--max-concurrency", type=click.IntRange(1, 1000), help="Slices in work at once.")
@click.option("--slices-per-round", type=click.IntRange(1, 1000), help="Slices taken in one go.")
@click.option(
    "--slice-span", type=inputs.span, metavar="SPAN", help="30d, 2h ...: width of one slice."
)
@click.option("--dry-run", is_flag=True, help="Say what would be fetched, and fetch nothing.")
@click.option("--draft", is_flag=True, help="Make the job, and let `mdc job start` start it.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Stay until it ends.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def backfill(
    *,
    provider: str | None,
    named_provider: str | None,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    start: Given,
    end: Given | None,
    venue: str | None,
    adjustment: str | None,
    hours: str,
    reconcile: bool,
    rate_limit: RateLimit | None,
    max_retries: int | None,
    retry_class: str,
    priority: int | None,
    max_concurrency: int | None,
    slices_per_round: int | None,
    slice_span: timedelta | None,
    dry_run: bool,
    draft: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Fetch the history of symbols from PROVIDER into PostgreSQL.

    Only what is not covered yet is fetched. Exit code 0: done; 1: failed or partial; 2: wrong
    usage.
    """
    now = datetime.now(UTC)
    check_order(start=start, end=end)
    check_past(start=start, end=end, now=now)
    request = JobRequest(
        provider=_one_provider(provider, named_provider),
        symbols=symbols,
        timeframes=timeframes,
        start=start.as_start,
        end=end.as_end if end else now,
        kind=JobKind.RECONCILE if reconcile else JobKind.BACKFILL,
        adjustment=Adjustment(adjustment) if adjustment else None,
        hours=Hours(hours),
        venue=venue,
        priority=priority,
        tries=None if max_retries is None else max_retries + 1,
        retry_class=retry_class,
        rate_limit=rate_limit,
        slice_span=slice_span,
        slices_per_round=slices_per_round,
        max_concurrency=max_concurrency,
    )
    if rate_limit:
        _warn_if_no_lower(rate_limit, provider=request.provider)
    if dry_run:
        _show_preview(preview_job(request, now=now), request=request, as_json=as_json)
        return
    opened = open_job(request, now=now, actor=current_actor(), egress=settings.EGRESS, draft=draft)
    if draft or not wait:
        announce(opened, as_json=as_json)
        return
    summary = wait_and_summarize(opened.job_id)
    if as_json:
        print_json(summary_shape(summary))
    else:
        render_summary(summary, out_console())
    raise click.exceptions.Exit(exit_code(summary))


def exit_code(summary: JobSummary) -> int:
    """Return 0 where everything asked for was done, else 1."""
    return 0 if summary.job.outcome is Outcome.COMPLETE else FAILED


def wait_and_summarize(job_id: int) -> JobSummary:
    """Follow a job until it stands still; Ctrl-C leaves it running and ends the command."""
    console = error_console()
    try:
        follow_job(job_id, console=console)
    except KeyboardInterrupt:
        console.print(
            f"\nJob {job_id} goes on without you: `mdc job show {job_id} --follow` watches it, "
            f"`mdc job cancel {job_id}` ends it."
        )
        raise click.exceptions.Exit(INTERRUPTED) from None
    return summarize_job(job_id, now=datetime.now(UTC))


def _one_provider(positional: str | None, named: str | None) -> str:
    chosen = positional or named
    if chosen is None or (positional and named and positional != named):
        raise SpokenUsage(f"name one provider: mdc backfill {'|'.join(adapter_names())} ...")
    return get_adapter(chosen).name


def _warn_if_no_lower(limit: RateLimit, *, provider: str) -> None:
    """Say so where the provider's own limit is the tighter one anyway."""
    asked = limit.n / limit.window.total_seconds()
    for declared in get_adapter(provider).capabilities.rate_limits:
        if asked > declared.n / declared.window.total_seconds():
            error_console().print(
                f"{provider} allows {declared.n} requests per "
                f"{span(declared.window.total_seconds())}; --rate-limit only lowers that."
            )


def announce(opened: OpenedJob, *, as_json: bool) -> None:
    """Say which job there is now, and what to do next."""
    if as_json:
        print_json({"job_id": opened.job_id, "state": opened.state, "existed": opened.existed})
        return
    verb = "start" if opened.state == "draft" else "show"
    click.echo(f"Job {opened.job_id} is {opened.state}. Next: mdc job {verb} {opened.job_id}")


def _show_preview(preview: Preview, *, request: JobRequest, as_json: bool) -> None:
    if as_json:
        print_json(preview_shape(preview))
        return
    numbers = ("covered", "slices", "requests", "bars")
    made = table("symbol", "timeframe", *numbers, numeric=frozenset(numbers))
    for one in preview.series:
        made.add_row(
            one.symbol,
            one.timeframe.value,
            f"{one.covered_fraction:.0%}",
            f"{one.slices:,}",
            f"{one.requests:,}",
            f"{one.rows:,}",
        )
    console = out_console()
    console.print(made)
    console.print()
    console.print(
        f"{request.provider} would get {count(preview.requests, 'request')} for about "
        f"{count(preview.rows, 'bar')}; its limits alone take {span(preview.seconds)}. "
        "Nothing was fetched or written."
    )
