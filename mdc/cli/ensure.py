"""`mdc ensure`: what is there of what someone wants, and see to the rest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import click
from rich.console import Console

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from django.conf import settings

from ingestion import clock
from ingestion.domain.ensuring import EnsureRequest, Urgency
from ingestion.services.ensure_coverage import Ensured, EnsuredSeries, ensure_coverage
from ingestion.services.watch_job import JobProgress
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given
from mdc.cli.output import NOTHING, count, out_console, print_json, table, when
from mdc.cli.shapes import Shape, summary_shape, tally_shape
from mdc.cli.spoken import SpokenUsage
from mdc.cli.waiting import begin_watch, exit_code, stay, sum_up
from mdc.cli.words import split_words
from providers.types import Adjustment, Hours, Timeframe

_SERIES_SHOWN: Final = 40
_GAPS_NAMED: Final = 3


@click.command(cls=SpeakingCommand)
@click.argument("words", nargs=-1, metavar="SYMBOL...")
@options.symbols(help="The same as words without a flag; several words, commas or @file.")
@options.timeframes(default=("1d",), help="One bar length: 1m 5m 15m 30m 1h 4h 1d 1w 1mo.")
@click.option(
    "--days", type=click.IntRange(1, 36_500), metavar="N", help="The last N days, until now."
)
@options.window(end_help="Last day, included; a time is excluded.  [default: now]")
@click.option(
    "--urgency",
    type=click.Choice([one.value for one in Urgency]),
    default=Urgency.NORMAL.value,
    show_default=True,
    help="How far before other work; realtime work goes first in any case.",
)
@options.provider(help="Where it comes from.  [default: where what is stored of it came from]")
@options.venue()
@options.adjustment()
@options.hours()
@click.option("--wait/--no-wait", default=False, show_default=True, help="Stay until it is there.")
@options.following()
@options.as_json()
def ensure(
    *,
    words: tuple[str, ...],
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    days: int | None,
    start: Given | None,
    end: Given | None,
    urgency: str,
    provider: str | None,
    venue: str | None,
    adjustment: Adjustment | None,
    hours: Hours,
    wait: bool,
    verbose: bool,
    progress_file: Path | None,
    as_json: bool,
) -> None:
    """Say what is there of SYMBOLs, and have what lacks fetched before other work.

    Answers at once. Asked again, it names the job that is at it already. Exit code 0: all is
    there, or queued; with --wait 1 where some of it could not be had.
    """
    now = clock.now()
    request = EnsureRequest(
        symbols=_all_symbols(words, symbols),
        timeframe=_one_timeframe(timeframes),
        start=_start(days, start=start, end=end, now=now),
        end=_end(end, now=now),
        urgency=Urgency(urgency),
        provider=provider,
        adjustment=adjustment,
        hours=hours,
        venue=venue,
    )
    watch = begin_watch(verbose=verbose, progress_file=progress_file, stays=wait)
    with stay(watch):
        ensured = ensure_coverage(request, now=now, actor=current_actor(), egress=settings.EGRESS)
        if not as_json:
            _render(ensured, out_console())
        ids = [progress.job.id for progress in ensured.jobs]
        summaries = sum_up(ids, watch=watch, as_json=as_json) if wait else []
    if as_json:
        jobs = [summary_shape(one) for one in summaries] if wait else _jobs(ensured)
        print_json({**ensured_shape(ensured), "jobs": jobs})
    raise click.exceptions.Exit(exit_code(summaries))


def _all_symbols(words: tuple[str, ...], symbols: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys((*split_words(words), *symbols)))
    if not found:
        raise SpokenUsage("name at least one symbol: mdc ensure AAPL MSFT --days 30")
    return found


def _one_timeframe(timeframes: tuple[Timeframe, ...]) -> Timeframe:
    if len(timeframes) != 1:
        raise SpokenUsage("one timeframe at a time; ask once for each")
    return timeframes[0]


def _start(days: int | None, *, start: Given | None, end: Given | None, now: datetime) -> datetime:
    if start is None:
        if days is None:
            raise SpokenUsage("say how far back: --days 30, or --start DATE")
        if end is not None:
            raise SpokenUsage("--days counts back from now; with --end give --start")
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=days)
    if days is not None:
        raise SpokenUsage("--days and --start say the same thing; keep one")
    if start.as_start >= now:
        raise SpokenUsage(f"the start {start.text} lies in the future; give a past date")
    return start.as_start


def _end(end: Given | None, *, now: datetime) -> datetime | None:
    if end is None:
        return None
    if end.as_end > now + timedelta(days=1):
        raise SpokenUsage(f"the end {end.text} lies in the future; leave it out to ask until now")
    return end.as_end


def _render(ensured: Ensured, console: Console) -> None:
    numbers = ("promised", "loaded", "explained", "lacking", "not settled")
    made = table(
        *("provider", "symbol", "timeframe", "from", "before"),
        *numbers,
        "gaps",
        numeric=frozenset(numbers),
    )
    shown = sorted(ensured.series, key=lambda one: -one.lacking)[:_SERIES_SHOWN]
    for one in shown:
        made.add_row(
            one.provider,
            one.symbol,
            one.timeframe.value,
            when(one.window.start if one.window else None),
            when(one.window.end if one.window else None),
            f"{one.promised:,}",
            f"{one.loaded:,}",
            f"{one.explained:,}",
            f"{one.lacking:,}",
            f"{one.unsettled:,}",
            _spell_gaps(one),
        )
    console.print(made)
    if len(shown) < len(ensured.series):
        console.print(f"{len(ensured.series) - len(shown):,} more: --json shows all of them")
    console.print()
    for line in _verdict(ensured):
        console.print(line, soft_wrap=True)


def _spell_gaps(one: EnsuredSeries) -> str:
    windows = [gap.window for gap in one.gaps[:_GAPS_NAMED]]
    named = [f"{when(window.start)} to {when(window.end)}" for window in windows]
    more = len(one.gaps) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "") or NOTHING


def _verdict(ensured: Ensured) -> Iterator[str]:
    """Say whether all is there, who sees to the rest, and what cannot be there yet."""
    if ensured.covered:
        yield f"All there: {count(len(ensured.series), 'series')}, nothing to fetch."
    for progress in ensured.jobs:
        yield _stand(progress, is_new=progress.job.id in ensured.opened)
    late = [one for one in ensured.series if one.unsettled]
    if late:
        bars = count(sum(one.unsettled for one in late), "bar")
        yield (
            f"{bars} from {when(min(one.settled_until for one in late))} on"
            f" {'is' if bars.startswith('1 ') else 'are'} not over or not final yet and not"
            " asked for; ask again later."
        )


def _stand(progress: JobProgress, *, is_new: bool) -> str:
    job, slices = progress.job, progress.slices
    if job.state.is_final:
        why = f": {job.error.rstrip('.')}" if job.error else ""
        return (
            f"Job {job.id} failed at it just now{why}. `mdc job show {job.id}` says more; asked"
            " again after a minute, it is tried once more."
        )
    verb = "is new, with" if is_new else "is at it already, with"
    waits = f", {progress.waits}" if progress.waits else ""
    return (
        f"Job {job.id} {verb} priority {job.priority}: {slices.settled:,} of"
        f" {count(slices.total, 'slice')} done{waits}. `mdc job show {job.id} --follow` watches it."
    )


def _jobs(ensured: Ensured) -> list[Shape]:
    return [
        {
            "job_id": progress.job.id,
            "state": progress.job.state,
            "priority": progress.job.priority,
            "opened": progress.job.id in ensured.opened,
            "waits": progress.waits,
            **tally_shape(progress.slices),
        }
        for progress in ensured.jobs
    ]


def ensured_shape(ensured: Ensured) -> Shape:
    """Shape the answer, its jobs aside."""
    return {
        "covered": ensured.covered,
        "job_id": ensured.job_id,
        "series": [
            {
                "provider": one.provider,
                "symbol": one.symbol,
                "timeframe": one.timeframe,
                "adjustment": one.adjustment,
                "start": one.window.start if one.window else None,
                "end": one.window.end if one.window else None,
                "promised": one.promised,
                "loaded": one.loaded,
                "explained": one.explained,
                "lacking": one.lacking,
                "unsettled": one.unsettled,
                "settled_until": one.settled_until,
                "gaps": [
                    {"start": gap.window.start, "end": gap.window.end, "bars": gap.bars}
                    for gap in one.gaps
                ],
            }
            for one in ensured.series
        ],
    }
