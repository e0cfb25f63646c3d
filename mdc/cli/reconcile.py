"""`mdc reconcile`: fetch what is stored once more, and report what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from django.conf import settings

from ingestion import clock
from ingestion.domain.spec import Sample
from ingestion.services.open_job import OpenedJob, open_resolved
from ingestion.services.preview_job import preview_resolved
from ingestion.services.resolve_reconciliation import Part, resolve_reconciliation
from ingestion.services.update_series import stored_requests
from mdc.cli import inputs, options
from mdc.cli.actor import current_actor
from mdc.cli.effort import Effort, fetching_options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given, check_past
from mdc.cli.output import print_json
from mdc.cli.preview import show_previews
from mdc.cli.shapes import summary_shape
from mdc.cli.spoken import SpokenUsage
from mdc.cli.waiting import (
    Watch,
    announce,
    begin_watch,
    exit_code,
    stay,
    sum_up,
)
from providers.types import Timeframe


@click.command(cls=SpeakingCommand)
@options.symbols()
@options.timeframes(help="Only these bar lengths.")
@options.provider()
@options.window(
    start_help="First day (UTC).  [default: the first day stored]",
    end_help="Last day, included; a time is excluded.  [default: the last day stored]",
)
@click.option(
    "--sample",
    type=inputs.share,
    metavar="SHARE",
    help="5%: only so much of it, drawn by --seed, in pieces of a few requests each.",
)
@click.option(
    "--seed", metavar="TEXT", help="What the sample is drawn by.  [default: today's date]"
)
@click.option(
    "--parsed-before",
    type=click.IntRange(2),
    metavar="VERSION",
    help="Only what no adapter of that version, or a later one, has read.",
)
@fetching_options(priority=100)
def reconcile(
    *,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    provider: str | None,
    start: Given | None,
    end: Given | None,
    sample: float | None,
    seed: str | None,
    parsed_before: int | None,
    priority: int | None,
    effort: Effort,
    dry_run: bool,
    draft: bool,
    wait: bool,
    verbose: bool,
    progress_file: Path | None,
    as_json: bool,
) -> None:
    """Fetch what is stored once more, and report inserted, unchanged, revised and vanished bars.

    One job for each provider and kind of series. Exit code 0: all was looked at; 1: failed or
    partial; 2: wrong usage; 130: interrupted, and the jobs go on.
    """
    now = clock.now()
    _check(start=start, end=end, sample=sample, seed=seed, parsed_before=parsed_before, now=now)
    part = Part(
        sample=Sample(sample, seed or f"{now:%Y-%m-%d}") if sample else None,
        parsed_before=parsed_before,
    )
    requests = [
        replace(
            effort.applied(one),
            start=start.as_start if start else None,
            end=end.as_end if end else None,
            priority=priority,
        )
        for one in stored_requests(symbols=symbols, timeframes=timeframes, provider=provider)
    ]
    stays = wait and not (draft or dry_run)
    watch = begin_watch(verbose=verbose, progress_file=progress_file, stays=stays)
    # All are understood before the first is opened.
    resolved = [resolve_reconciliation(one, part, now=now) for one in requests]
    resolved = [one for one in resolved if one.series]
    if not resolved and not as_json:
        click.echo("Nothing of that is stored, or all of it was looked at; nothing to fetch.")
        return
    if dry_run:
        show_previews(
            [(one.adapter.name, preview_resolved(one)) for one in resolved], as_json=as_json
        )
        return
    with stay(watch):
        opened = [
            open_resolved(one, now=now, actor=current_actor(), egress=settings.EGRESS, draft=draft)
            for one in resolved
        ]
        raise click.exceptions.Exit(
            _finish(opened, watch=watch if stays else None, as_json=as_json)
        )


def _check(
    *,
    start: Given | None,
    end: Given | None,
    sample: float | None,
    seed: str | None,
    parsed_before: int | None,
    now: datetime,
) -> None:
    if start is not None:
        check_past(start=start, end=end, now=now)
    if start is None and sample is None and parsed_before is None:
        raise SpokenUsage(
            "say what to fetch once more: a window (--start DATE), a share (--sample 5%), or what"
            " older adapters read (--parsed-before VERSION)"
        )
    if seed is not None and sample is None:
        raise SpokenUsage("--seed draws a sample; add --sample 5%, or leave it out")


def _finish(opened: Sequence[OpenedJob], *, watch: Watch | None, as_json: bool) -> int:
    """Say which jobs there are, or wait for them and sum them up; return the exit code."""
    if watch is None:
        if as_json:
            print_json({"jobs": [{"job_id": one.job_id, "state": one.state} for one in opened]})
        for one in () if as_json else opened:
            announce(one, as_json=False)
        return 0
    summaries = sum_up([one.job_id for one in opened], watch=watch, as_json=as_json)
    if as_json:
        print_json({"jobs": [summary_shape(one) for one in summaries]})
    return exit_code(summaries)
