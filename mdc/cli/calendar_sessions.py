"""`mdc calendar sessions | show`: when a venue trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import click
from django.db import DatabaseError

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion import clock
from ingestion.calendars import sessions_for
from ingestion.services.list_overrides import overrides_of
from ingestion.services.list_sessions import ListedSession, list_sessions
from ingestion.services.refresh_calendars import refresh_calendars
from ingestion.services.show_calendar import Calendar, show_calendar
from mdc.cli import inputs
from mdc.cli.calendar_words import hour, override_shape, override_words
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given
from mdc.cli.output import NOTHING, count, out_console, print_json, table
from mdc.cli.shapes import Shape
from mdc.cli.spoken import SpokenUsage
from providers.declared import ask_first

_AHEAD: Final = timedelta(days=14)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, times in UTC.")


@click.command(cls=SpeakingCommand)
@click.option("--venue", required=True, metavar="MIC", help="Such as XNYS, CMES, 24/7 or FX.")
@click.option(
    "--start", type=inputs.moment, metavar="DATE", help="The first date.  [default: today]"
)
@click.option(
    "--end",
    type=inputs.moment,
    metavar="DATE",
    help="The date after the last one.  [default: two weeks after the start]",
)
@_JSON
def sessions(*, venue: str, start: Given | None, end: Given | None, as_json: bool) -> None:
    """List sessions with open, close, kind and breaks; halts are breaks too.

    A session is named by its date, which is the day it closes where it opens on the evening before.
    """
    first = _date(start, "--start") if start else clock.now().date()
    last = _date(end, "--end") if end else first + _AHEAD
    if last < first:
        raise SpokenUsage(f"--end {last} lies before --start {first}; swap them")
    declared = _know_what_is_declared()
    found = list_sessions(venue, start=first, end=last)
    if as_json:
        print_json([_session_shape(one) for one in found])
    elif not found:
        click.echo(f"{venue} has no session from {first} until {last}.")
    else:
        _print(found, tz=sessions_for(venue).tz, why=_reasons(venue) if declared else {})


@click.command(cls=SpeakingCommand)
@click.argument("venue")
@_JSON
def show(*, venue: str, as_json: bool) -> None:
    """Say where and when a venue trades, how far its calendar is known, what is declared of it."""
    found = show_calendar(venue, now=clock.now())
    if as_json:
        print_json(_calendar_shape(found))
        return
    facts = table("calendar", found.venue)
    for name, fact in _facts(found):
        facts.add_row(name, fact)
    out_console().print(facts)
    for one in found.overrides:
        click.echo(f"  {one.row.override.session}  {override_words(one.row.override, found.tz)}")


def _print(found: Sequence[ListedSession], *, tz: str, why: Mapping[date, str]) -> None:
    listing = table("session", "day", f"open ({tz})", "close", "UTC", "kind", "breaks", "why")
    for one in found:
        listing.add_row(
            str(one.session),
            f"{one.session:%a}",
            hour(one.open, one.session, tz),
            hour(one.close, one.session, tz),
            f"{one.open:%H:%M} to {one.close:%H:%M}",
            one.kind.value.replace("_", " "),
            ", ".join(
                f"{hour(begins, one.session, tz)} to {hour(ends, one.session, tz)}"
                for begins, ends in one.breaks
            )
            or NOTHING,
            why.get(one.session, NOTHING),
        )
    out_console().print(listing)


def _reasons(venue: str) -> dict[date, str]:
    """Return why sessions are as somebody declared them."""
    reasons: dict[date, dict[str, None]] = {}
    for one in overrides_of(venue):
        reasons.setdefault(one.row.override.session, {})[one.row.reason] = None
    return {session: "; ".join(said) for session, said in reasons.items()}


def _know_what_is_declared() -> bool:
    """Read the overrides, or say that nobody can: calendars are known without any database."""
    try:
        refresh_calendars()
    except DatabaseError:
        click.echo(
            "PostgreSQL does not answer, so nothing is known of overrides: these are the"
            " calendar's own sessions. `mdc up` starts it.",
            err=True,
        )
        ask_first(None)
        return False
    return True


def _facts(found: Calendar) -> list[tuple[str, str]]:
    coming = found.ahead[0] if found.ahead else None
    facts = [
        ("time zone", found.tz),
        ("known", f"{found.known_from} until {found.known_until}"),
        ("last known session", str(found.last_session or NOTHING)),
        ("now", "open" if found.is_open else "closed"),
    ]
    if found.stands_for != found.venue:
        facts.insert(0, ("sessions of", found.stands_for))
    if found.shared_by:
        facts.append(("shared by", " ".join(found.shared_by)))
    if coming is not None:
        facts.append(
            (
                "this or next session",
                f"{coming.session}, {coming.open:%Y-%m-%d %H:%M}Z to"
                f" {coming.close:%Y-%m-%d %H:%M}Z, {coming.kind.value.replace('_', ' ')}",
            )
        )
    facts.append(("declared", count(len(found.overrides), "override")))
    return facts


def _date(given: Given, option: str) -> date:
    if not given.whole_day:
        raise SpokenUsage(f"{option} {given.text} is a time; sessions are named by dates")
    return given.moment.date()


def _session_shape(one: ListedSession) -> Shape:
    return {
        "session": one.session,
        "open": one.open,
        "close": one.close,
        "kind": one.kind,
        "breaks": [{"start": begins, "end": ends} for begins, ends in one.breaks],
    }


def _calendar_shape(found: Calendar) -> Shape:
    return {
        "venue": found.venue,
        "sessions_of": found.stands_for,
        "shared_by": list(found.shared_by),
        "timezone": found.tz,
        "always_open": found.always_open,
        "known_from": found.known_from,
        "known_until": found.known_until,
        "last_session": found.last_session,
        "open_now": found.is_open,
        "ahead": [_session_shape(one) for one in found.ahead],
        "overrides": [override_shape(one) for one in found.overrides],
    }
