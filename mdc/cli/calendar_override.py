"""`mdc calendar override`: what people declare of sessions; append-only."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path
from typing import Final

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion import clock
from ingestion.calendars import sessions_for
from ingestion.domain.override_text import (
    COLUMNS,
    BadOverrideFile,
    read_statement,
    toml_lines,
)
from ingestion.domain.overrides import OverrideKind
from ingestion.services.apply_calendar_change import CalendarChange
from ingestion.services.declare_override import declare_override
from ingestion.services.import_overrides import import_overrides
from ingestion.services.list_overrides import ListedOverride, list_overrides
from ingestion.services.withdraw_override import withdraw_override
from mdc.cli import inputs
from mdc.cli.actor import current_actor
from mdc.cli.calendar_words import override_shape, override_words
from mdc.cli.errors import SpeakingCommand
from mdc.cli.inputs import Given
from mdc.cli.output import count, iso, out_console, print_json, table, when
from mdc.cli.spoken import SpokenUsage
from providers.venue_rules import ALIASES

_PROBLEMS_SHOWN: Final = 20
_SESSIONS_SHOWN: Final = 5
_VENUES_SHOWN: Final = 3
_EXPORTED: Final = (*COLUMNS, "declared_by", "declared_at", "source")
_VENUE = click.option("--venue", metavar="MIC", help="Only this venue.")
_REASON = click.option("--reason", required=True, help="Why: an announcement, an address, a name.")


@click.group()
def override() -> None:
    """Declare what is so of a session, whatever the calendar says; the last word holds.

    An HOUR is 13:00 on the venue's clock, "-1 18:00" for the evening before, or an instant such as
    2026-11-27T18:00Z. What is declared of a venue holds for those that share its calendar too,
    unless they have statements of their own about that session.
    """


@override.command(cls=SpeakingCommand)
@click.argument("venue")
@click.argument("session")
@click.argument(
    "kind", type=click.Choice([one.value for one in OverrideKind if one != OverrideKind.WITHDRAWN])
)
@click.option("--opens", default="", metavar="HOUR", help="The open, or where a halt begins.")
@click.option("--closes", default="", metavar="HOUR", help="The close, or where a halt ends.")
@_REASON
def add(*, venue: str, session: str, kind: str, opens: str, closes: str, reason: str) -> None:
    """Declare one session closed, with other hours, special (on a day without one) or halted.

    A session may have several halts; any other statement replaces the one before it.
    """
    try:
        statement = read_statement(
            {
                "venue": venue,
                "session": session,
                "kind": kind,
                "opens": opens,
                "closes": closes,
                "reason": reason,
            }
        )
    except ValueError as error:
        raise SpokenUsage(str(error)) from error
    _say(declare_override(statement, actor=current_actor(), now=clock.now()))


@override.command(cls=SpeakingCommand)
@click.argument("venue")
@click.argument("session", type=inputs.moment)
@_REASON
def withdraw(*, venue: str, session: Given, reason: str) -> None:
    """Take back all that was declared of one session; it is as the calendar has it again."""
    _say(
        withdraw_override(
            venue,
            session.moment.date(),
            reason=reason,
            actor=current_actor(),
            now=clock.now(),
        )
    )


@override.command("list", cls=SpeakingCommand)
@_VENUE
@click.option("--all", "every", is_flag=True, help="Those that no longer hold too, as declared.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, times in UTC.")
def list_(*, venue: str | None, every: bool, as_json: bool) -> None:
    """List the overrides that hold, with who declared them, why and when."""
    found = _found(venue, every=every)
    if as_json:
        print_json([override_shape(one) for one in found])
        return
    if not found:
        click.echo("Nothing is declared; the calendars hold as they are.")
        return
    listing = table("venue", "session", "what", "holds", "why", "by", "declared")
    for one in found:
        row = one.row
        listing.add_row(
            row.override.venue,
            f"{row.override.session} {row.override.session:%a}",
            override_words(row.override, sessions_for(row.override.venue).tz),
            "yes" if one.holds else "no",
            row.reason,
            f"{row.declared_by} ({row.source})",
            when(row.declared_at),
        )
    out_console().print(listing)


@override.command("import", cls=SpeakingCommand)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(*, file: Path) -> None:
    """Declare the overrides of a file, all or none; importing it again changes nothing.

    CSV with the header venue,session,kind,opens,closes,reason or, by its ending .toml, tables
    [[override]] with these keys. The kind withdrawn takes back what is declared of a session.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpokenUsage(f"{file} is no UTF-8 text; save it as such") from error
    try:
        done = import_overrides(text, name=file.name, actor=current_actor(), now=clock.now())
    except BadOverrideFile as error:
        for problem in error.problems[:_PROBLEMS_SHOWN]:
            click.echo(f"{file.name}: {problem}", err=True)
        raise
    click.echo(f"{file.name} states {count(done.stated, 'override')}; {done.change.written:,} new.")
    if done.change.written:
        _say(done.change)


@override.command(cls=SpeakingCommand)
@_VENUE
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "toml"]),
    help="[default: by the ending of -o, else csv]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write there.  [default: standard output]",
)
def export(*, venue: str | None, form: str | None, output: Path | None) -> None:
    """Write the overrides that hold as a file that `import` takes, hours in UTC."""
    rows = [_exported(one) for one in _found(venue)]
    if form == "toml" or (form is None and output is not None and output.suffix == ".toml"):
        text = "\n".join(toml_lines(rows))
    else:
        text = _csv(rows)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(f"{count(len(rows), 'override')} written to {output}.", err=True)


def _found(venue: str | None, *, every: bool = False) -> list[ListedOverride]:
    if venue is not None:
        sessions_for(venue)  # an unknown one is an answer of its own
    return list_overrides(venue=venue, every=every)


def _say(change: CalendarChange) -> None:
    if not change.written:
        click.echo("That is declared already; nothing changed.")
        return
    if not change.sessions:
        click.echo("Declared; the sessions are what they were.")
        return
    alike: dict[tuple[date, ...], list[str]] = {}
    for venue, days in change.sessions.items():
        alike.setdefault(days, []).append(venue)
    for days, venues in alike.items():
        click.echo(f"{_venues(venues)}: {_days(days)} changed.")
    said = []
    if change.doubted:
        said.append(f"{count(change.doubted, 'series')} to be fetched again there")
    if change.schedules:
        said.append(f"next fires of {count(change.schedules, 'schedule')} reckoned anew")
    if said:
        click.echo(f"{'; '.join(said)}.")


def _venues(venues: list[str]) -> str:
    """Name the venues that were declared of before those that share with them."""
    first, *others = sorted(venues, key=lambda venue: (venue in ALIASES, venue))
    if len(others) < _VENUES_SHOWN:
        return ", ".join([first, *others])
    return f"{first} and {count(len(others), 'venue')} that share its calendar"


def _days(days: tuple[date, ...]) -> str:
    more = len(days) - _SESSIONS_SHOWN
    listed = ", ".join(map(str, days[:_SESSIONS_SHOWN])) + (
        f" and {more:,} more" if more > 0 else ""
    )
    return f"session {listed}" if len(days) == 1 else f"sessions {listed}"


def _exported(one: ListedOverride) -> dict[str, str]:
    row, stated = one.row, one.row.override
    return {
        "venue": stated.venue,
        "session": stated.session.isoformat(),
        "kind": stated.kind.value,
        "opens": iso(stated.opens_at) if stated.opens_at else "",
        "closes": iso(stated.closes_at) if stated.closes_at else "",
        "reason": row.reason,
        "declared_by": row.declared_by,
        "declared_at": iso(row.declared_at),
        "source": row.source,
    }


def _csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _EXPORTED, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
