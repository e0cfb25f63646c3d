"""`mdc update`: bring what is stored up to the last closed session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from django.conf import settings

from ingestion.domain.spec import JobRequest
from ingestion.domain.states import JobKind
from ingestion.services.find_series import NothingStored
from ingestion.services.preview_job import preview_job
from ingestion.services.update_series import Updated, stored_requests, update_series
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.effort import Effort, fetching_options
from mdc.cli.errors import SpeakingCommand, speak
from mdc.cli.inputs import Given, check_past
from mdc.cli.output import count, print_json
from mdc.cli.preview import show_previews, warn_if_no_lower
from mdc.cli.shapes import Shape, summary_shape
from mdc.cli.spoken import FAILED, Spoken, SpokenUsage
from mdc.cli.waiting import Watch, begin_watch, exit_code, stay, sum_up
from providers.types import Adjustment, Hours, Timeframe

_DEFAULT_TIMEFRAMES: Final = (Timeframe.D1,)


@dataclass(frozen=True, slots=True)
class Refused:
    """Keep why one of several updates could not begin; the others go on."""

    provider: str
    sentence: str


@click.command(cls=SpeakingCommand)
@options.named_provider(required=False)
@options.symbols(help="Several words, commas or @file.  [default: all that is stored]")
@options.timeframes(
    help="Bar lengths: 1m 5m 15m 30m 1h 4h 1d 1w 1mo.  [default: 1d with PROVIDER and symbols,"
    " otherwise what is stored]"
)
@click.option(
    "--lookback-days",
    type=click.IntRange(1, 36_500),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="How far back to begin where nothing is stored.",
)
@options.window(
    start_help="Look from this day on instead of from the last covered session.",
    end_help="Last day, included; a time is excluded.  [default: the last closed session]",
)
@options.venue()
@options.adjustment()
@click.option(
    "--hours",
    type=click.Choice([one.value for one in Hours]),
    help="Which part of the day.  [default: regular with PROVIDER and symbols, otherwise all]",
)
@fetching_options(priority=120)
def update(
    *,
    provider: str | None,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    lookback_days: int,
    start: Given | None,
    end: Given | None,
    venue: str | None,
    adjustment: Adjustment | None,
    hours: str | None,
    priority: int | None,
    effort: Effort,
    dry_run: bool,
    draft: bool,
    wait: bool,
    verbose: bool,
    progress_file: Path | None,
    as_json: bool,
) -> None:
    """Fetch what is missing between the last covered session and the last closed one.

    With PROVIDER and symbols exactly these are updated, known or new; without one of them
    whatever is stored that fits, one job per provider and kind of series. Where nothing is missing
    nobody is asked. PROVIDER comes before the lists, or as --provider.

    Exit code 0: up to date; 1: failed or partial; 2: wrong usage; 130: interrupted.
    """
    now = datetime.now(UTC)
    if start is not None:
        check_past(start=start, end=end, now=now)
    asked = _asked(
        provider=provider,
        symbols=symbols,
        timeframes=timeframes,
        venue=venue,
        adjustment=adjustment,
        hours=Hours(hours) if hours else None,
    )
    requests = [
        replace(
            effort.applied(one),
            start=start.as_start if start else None,
            end=end.as_end if end else None,
            lookback=timedelta(days=lookback_days),
            priority=priority,
        )
        for one in asked
    ]
    if not requests and not as_json:
        click.echo("Nothing of this is stored yet. `mdc update PROVIDER --symbols ...` begins.")
        return
    for name in dict.fromkeys(one.provider for one in requests):
        warn_if_no_lower(effort.rate_limit, provider=name)
    if dry_run:
        begin_watch(verbose=verbose, progress_file=progress_file, stays=False)
        show_previews(
            [(one.provider, preview_job(one, now=now)) for one in requests], as_json=as_json
        )
        return
    stays = wait and not draft
    watch = begin_watch(verbose=verbose, progress_file=progress_file, stays=stays)
    with stay(watch):
        alone = len(requests) == 1
        done = [_update(one, now=now, draft=draft, alone=alone) for one in requests]
        code = _finish(done, watch=watch if stays else None, as_json=as_json)
        raise click.exceptions.Exit(code)


def _asked(
    *,
    provider: str | None,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    venue: str | None,
    adjustment: Adjustment | None,
    hours: Hours | None,
) -> list[JobRequest]:
    """Return what was named, or the part of what is stored that fits."""
    if provider and symbols:
        named = JobRequest(
            provider=provider,
            symbols=symbols,
            timeframes=timeframes or _DEFAULT_TIMEFRAMES,
            start=None,
            end=None,
            kind=JobKind.UPDATE,
            adjustment=adjustment,
            hours=hours or Hours.REGULAR,
            venue=venue,
        )
        return [named]
    if venue:
        raise SpokenUsage("--venue is for symbols that are new; name PROVIDER and --symbols too")
    try:
        stored = stored_requests(symbols=symbols, timeframes=timeframes, provider=provider)
    except NothingStored as error:
        raise Spoken(
            f"nothing is stored of {error.symbol}; name the provider and it begins there:"
            f" mdc update PROVIDER --symbols {error.symbol}"
        ) from error
    return [
        one for one in stored if adjustment in (None, one.adjustment) and hours in (None, one.hours)
    ]


def _update(request: JobRequest, *, now: datetime, draft: bool, alone: bool) -> Updated | Refused:
    """Begin one update; unless it is `alone`, its refusal does not keep the others from theirs."""
    try:
        return update_series(
            request, now=now, actor=current_actor(), egress=settings.EGRESS, draft=draft
        )
    except Exception as error:
        spoken = speak(error)
        if spoken is None or alone:
            raise
        return Refused(request.provider, spoken.format_message())


def _finish(done: Sequence[Updated | Refused], *, watch: Watch | None, as_json: bool) -> int:
    """Say what came of the updates, after waiting for them if `watch` is given."""
    refused = [one for one in done if isinstance(one, Refused)]
    for one in refused:
        click.echo(f"mdc: {one.provider}: {one.sentence}", err=True)
    updated = [one for one in done if isinstance(one, Updated)]
    jobs = [one.job for one in updated if one.job]
    if not as_json:
        _say(updated)
    if watch is None:
        shapes: list[Shape] = [{"job_id": job.job_id, "state": job.state} for job in jobs]
        code = 0
    else:
        summaries = sum_up([job.job_id for job in jobs], watch=watch, as_json=as_json)
        shapes = [summary_shape(one) for one in summaries]
        code = exit_code(summaries)
    if as_json:
        print_json(
            {
                "series": sum(one.series for one in updated),
                "current": sum(one.current for one in updated),
                "jobs": shapes,
                "refused": [{"provider": one.provider, "error": one.sentence} for one in refused],
            }
        )
    return FAILED if refused else code


def _say(updated: Sequence[Updated]) -> None:
    """Say in one line each what lacks nothing, and which jobs there are now."""
    if updated and not any(one.job for one in updated):
        series = sum(one.series for one in updated)
        click.echo(f"Up to date: {count(series, 'series')}, nothing to fetch.")
        return
    idle = Counter[str]()
    for one in updated:
        if one.job is None:
            idle[one.provider] += one.series
            continue
        behind = one.series - one.current
        verb = "start" if one.job.state == "draft" else "show"
        click.echo(
            f"{one.provider}: {behind:,} of {count(one.series, 'series')} behind; job"
            f" {one.job.job_id} is {one.job.state} (mdc job {verb} {one.job.job_id})."
        )
    for provider, series in idle.items():
        click.echo(f"{provider}: {count(series, 'series')} up to date.")
