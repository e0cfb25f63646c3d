"""`mdc freshness`: whether sessions were complete when they were promised."""

from __future__ import annotations

from datetime import timedelta

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion import clock
from ingestion.services.show_freshness import DefinitionFreshness, show_freshness
from ingestion.store.freshness import Kept, Late
from ingestion.store.kpis import Verified
from mdc.cli import inputs, options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.output import NOTHING, out_console, print_json, share, span, table, when
from mdc.cli.shapes import Shape

_LATE_SHOWN = 10


@click.command(cls=SpeakingCommand)
@click.argument("definition", required=False)
@click.option(
    "--since",
    type=inputs.span,
    default="30d",
    show_default=True,
    metavar="SPAN",
    help="Count the sessions that were due in this time.",
)
@options.as_json("Print JSON.")
def freshness(*, definition: str | None, since: timedelta, as_json: bool) -> None:
    """Show which definitions keep what they promise, which sessions were late, what was revised."""
    found = show_freshness(since=clock.now() - since, definition=definition, late=_LATE_SHOWN)
    if as_json:
        print_json([_shape(one) for one in found])
        return
    if not found:
        click.echo("No definition has a target. `mdc definition add ... --freshness 1h` sets one.")
        return
    _print_kept(found)
    _print_late(found)
    _print_verified([row for one in found for row in one.verified])


def _print_kept(found: list[DefinitionFreshness]) -> None:
    made = table(
        *("definition", "target", "venue", "on time", "share", "open", "slowest"),
        *("last session", "next look"),
        numeric=frozenset(("on time", "share", "open", "slowest")),
    )
    for one in found:
        target = one.definition.freshness
        words = span(target.total_seconds()) if target else NOTHING
        next_at = when(one.watch.next_at) if one.watch else NOTHING
        for kept in one.kept:
            made.add_row(
                one.definition.name,
                words,
                kept.venue,
                f"{kept.on_time:,} of {kept.judged:,}",
                share(kept.on_time, kept.judged),
                f"{kept.open:,}",
                span(kept.slowest.total_seconds()) if kept.slowest else NOTHING,
                f"{kept.last_session} {_last(kept)}",
                next_at,
            )
        if not one.kept:
            made.add_row(one.definition.name, words, *[NOTHING] * 5, "not judged yet", next_at)
    out_console().print(made)


def _last(kept: Kept) -> str:
    if not kept.last_lacking:
        return "complete"
    if kept.last_complete_at:
        return f"late, complete {when(kept.last_complete_at)}"
    return f"lacks {kept.last_lacking:,}"


def _print_late(found: list[DefinitionFreshness]) -> None:
    made = table(
        *("definition", "venue", "session", "was due", "lacked", "such as", "complete"),
        title="Late sessions",
        numeric=frozenset(("lacked",)),
    )
    for one in found:
        for late in one.late:
            made.add_row(
                one.definition.name,
                late.venue,
                str(late.session),
                when(late.due_at),
                f"{late.lacking:,} of {late.series:,}",
                " ".join(late.sample[:3]),
                when(late.complete_at) if late.complete_at else "not yet",
            )
    if made.rows:
        out_console().print(made)


def _print_verified(found: list[Verified]) -> None:
    if not found:
        return
    made = table(
        *("definition", "schedule", "age", "sessions", "unchanged", "added", "revised", "vanished"),
        title="Verified again",
        numeric=frozenset(("age", "sessions", "unchanged", "added", "revised", "vanished")),
    )
    for one in found:
        counts = (one.sessions, one.unchanged, one.inserted, one.revised, one.vanished)
        made.add_row(
            one.definition,
            one.schedule,
            span(one.age.total_seconds()),
            *(f"{number:,}" for number in counts),
        )
    out_console().print(made)


def _shape(one: DefinitionFreshness) -> Shape:
    return {
        "definition": one.definition.name,
        "target": one.definition.freshness,
        "watched_since": one.watch.since if one.watch else None,
        "next_look": one.watch.next_at if one.watch else None,
        "judged": one.judged,
        "on_time": one.on_time,
        "venues": [_kept(kept) for kept in one.kept],
        "late": [_late(late) for late in one.late],
        "verified": [verified_shape(row) for row in one.verified],
    }


def _kept(kept: Kept) -> Shape:
    return {
        "venue": kept.venue,
        "judged": kept.judged,
        "on_time": kept.on_time,
        "open": kept.open,
        "slowest": kept.slowest,
        "last_session": kept.last_session,
        "last_lacking": kept.last_lacking,
        "last_complete_at": kept.last_complete_at,
    }


def _late(late: Late) -> Shape:
    return {
        "venue": late.venue,
        "session": late.session,
        "due_at": late.due_at,
        "lacking": late.lacking,
        "of": late.series,
        "sample": list(late.sample),
        "complete_at": late.complete_at,
    }


def verified_shape(one: Verified) -> Shape:
    """Shape what verifying at one age found."""
    return {
        "definition": one.definition,
        "schedule": one.schedule,
        "age": one.age,
        "sessions": one.sessions,
        "unchanged": one.unchanged,
        "inserted": one.inserted,
        "revised": one.revised,
        "vanished": one.vanished,
    }
