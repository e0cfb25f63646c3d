"""`mdc kpi`: how well things went over a span of time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion import clock
from ingestion.services.show_kpis import Kpis, show_kpis
from mdc.cli import inputs, options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.freshness import verified_shape
from mdc.cli.output import NOTHING, out_console, print_json, share, span, table, when
from mdc.cli.shapes import Shape


@click.command(cls=SpeakingCommand)
@click.option(
    "--since",
    type=inputs.span,
    default="7d",
    show_default=True,
    metavar="SPAN",
    help="Sum this time, up to now.",
)
@options.as_json()
def kpi(*, since: timedelta, as_json: bool) -> None:
    """Sum what happened: slots, lateness, jobs, recovery, throttling, bars, freshness."""
    now = clock.now()
    begin = now - since
    found = show_kpis(since=begin, now=now, seconds=-clock.seconds_until(begin))
    if as_json:
        print_json(kpi_shape(found))
        return
    click.echo(f"From {when(found.since)} until {when(found.until)}:")
    made = table("what", "how much", "")
    for name, number, more in _lines(found):
        made.add_row(name, number, more)
    out_console().print(made)


def _lines(found: Kpis) -> list[tuple[str, str, str]]:
    work, recovery, lateness = found.work, found.recovery, found.lateness
    written = f"{work.unchanged:,} unchanged, {work.revised:,} revised, {work.vanished:,} vanished"
    return [
        ("due slots", f"{sum(found.slots.values()):,}", _counts(found.slots)),
        (
            "fired within",
            _length(lateness.p99),
            f"99 of 100; half of them within {_length(lateness.p50)}",
        ),
        ("signals", f"{sum(found.signals.values()):,}", _counts(found.signals)),
        *(
            ("jobs that ended", f"{one.jobs:,}", f"{one.kind}: {one.how.replace('_', ' ')}")
            for one in found.ended
        ),
        (
            "completion reliability",
            NOTHING if found.reliability is None else f"{found.reliability:.1%}",
            "of the jobs that nobody cancelled ended complete",
        ),
        (
            "recovery",
            _length(recovery.mean),
            f"on average; {recovery.recovered:,} of {recovery.failed:,} slices recovered",
        ),
        ("throttling incidents", f"{found.incidents:,}", f"{work.throttled:,} refused requests"),
        ("requests", f"{work.requests:,}", f"{work.failures:,} failed tries"),
        ("bars inserted", f"{work.inserted:,}", written),
        *(
            (
                f"fresh: {one.definition}",
                share(one.on_time, one.judged),
                _fresh(one.open, one.judged),
            )
            for one in found.freshness
        ),
        *(
            (f"verified: {one.schedule}", f"{one.sessions:,}", f"{one.revised:,} bars revised")
            for one in found.verified
        ),
    ]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in counts.items())


def _fresh(still: int, judged: int) -> str:
    return f"of {judged:,} sessions in time; {still:,} still lack bars"


def _length(length: timedelta | None) -> str:
    if length is None:
        return NOTHING
    seconds = length.total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else span(seconds)


def kpi_shape(found: Kpis) -> Shape:
    """Shape the figures of a span; lengths of time are seconds."""
    work, recovery = found.work, found.recovery
    return {
        "since": found.since,
        "until": found.until,
        "slots": dict(found.slots),
        "lateness": {
            "fired": found.lateness.fired,
            "p50": found.lateness.p50,
            "p99": found.lateness.p99,
        },
        "signals": dict(found.signals),
        "jobs": [{"kind": one.kind, "ended": one.how, "jobs": one.jobs} for one in found.ended],
        "completion_reliability": found.reliability,
        "recovery": {
            "failed_slices": recovery.failed,
            "recovered": recovery.recovered,
            "mean": recovery.mean,
        },
        "throttling": {"incidents": found.incidents, "refused": work.throttled},
        "requests": work.requests,
        "attempts": work.attempts,
        "failed_attempts": work.failures,
        "bars": {
            "inserted": work.inserted,
            "unchanged": work.unchanged,
            "revised": work.revised,
            "vanished": work.vanished,
            "quarantined": work.quarantined,
        },
        "freshness": [
            {
                "definition": one.definition,
                "judged": one.judged,
                "on_time": one.on_time,
                "open": one.open,
            }
            for one in found.freshness
        ],
        "verified": [verified_shape(one) for one in found.verified],
    }
