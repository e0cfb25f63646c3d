"""`mdc definition list` and `mdc definition show`."""

from __future__ import annotations

from collections.abc import Iterator

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.services.check_settling import usual_close
from ingestion.services.list_definitions import (
    ListedDefinition,
    ShownDefinition,
    list_definitions,
    show_definition,
)
from ingestion.store.definitions import DefinitionRow
from mdc.cli import options
from mdc.cli.errors import SpeakingCommand
from mdc.cli.output import NOTHING, count, out_console, print_json, table, when
from mdc.cli.schedule_view import listed_shape, plain_span, state_words
from mdc.cli.shapes import Shape

_SYMBOLS_SHOWN = 8


@click.command("list", cls=SpeakingCommand)
@options.as_json("Print JSON.")
def list_(*, as_json: bool) -> None:
    """List datasets that are kept, with their promises."""
    found = list_definitions()
    if as_json:
        print_json([_listed_shape(one) for one in found])
        return
    if not found:
        click.echo("No definitions. `mdc definition add --help` says how to declare a dataset.")
        return
    made = table(
        *("definition", "symbols", "bars", "since", "providers", "fresh within", "schedules"),
        *("priority", ""),
        numeric=frozenset(("schedules", "priority")),
    )
    for one in found:
        row = one.definition
        made.add_row(
            row.name,
            _symbols(row.symbols),
            row.timeframe.value,
            str(row.history_start),
            ", ".join(row.providers),
            plain_span(row.freshness) if row.freshness else NOTHING,
            f"{one.schedules:,}",
            f"{row.priority}",
            "" if row.enabled else "disabled",
        )
    out_console().print(made)


@click.command(cls=SpeakingCommand)
@click.argument("name")
@options.as_json()
def show(*, name: str, as_json: bool) -> None:
    """Show one dataset: its promises, its schedules, its last jobs."""
    shown = show_definition(name)
    if as_json:
        print_json(_shown_shape(shown))
        return
    console = out_console()
    row = shown.definition
    console.print(f"{row.name}: {_symbols(row.symbols)}, {row.timeframe} since {row.history_start}")
    for line in _facts(shown):
        console.print(f"  {line}")
    if shown.schedules:
        made = table("schedule", "starts", "when", "next due", "state")
        for one in shown.schedules:
            schedule = one.schedule
            made.add_row(
                schedule.name,
                schedule.action.value,
                schedule.words,
                when(schedule.next_due_at),
                state_words(schedule),
            )
        console.print()
        console.print(made)
    else:
        console.print(
            f"Nothing starts it yet: mdc schedule add {row.name} {row.name}"
            f' "{usual_close(row.providers)}"'
        )
    for job in shown.jobs:
        stands = job.outcome.value if job.outcome else job.state.value
        console.print(f"job {job.id}: {job.kind} of {when(job.created_at)}, {stands}")


def _tries(tries: int | None) -> str:
    return "the tries of its retry class" if tries is None else f"{tries} tries"


def _facts(shown: ShownDefinition) -> Iterator[str]:
    row = shown.definition
    basis = row.adjustment.value if row.adjustment else "the provider's own basis"
    yield f"bars       {basis}, {row.hours} hours" + (f", venue {row.venue}" if row.venue else "")
    yield f"providers  {', '.join(row.providers)}"
    yield f"stored     {shown.stored:,} of {count(len(row.symbols), 'symbol')}"
    promises = {
        "fresh within {} of each close": row.freshness,
        "a job takes at most {}": row.deadline,
        "retries are dropped {} after they were due": row.stale_after,
    }
    said = [words.format(plain_span(one)) for words, one in promises.items() if one]
    yield f"promises   {'; '.join(said) or 'none'}"
    yield f"pace       priority {row.priority}, weight {row.weight}, {_tries(row.tries)}, " + (
        f"{row.retry_class.replace('_', ' ')} retries"
    )
    if not row.enabled:
        yield "state      disabled: nothing of it fires"


def _symbols(symbols: tuple[str, ...]) -> str:
    more = len(symbols) - _SYMBOLS_SHOWN
    return " ".join(symbols[:_SYMBOLS_SHOWN]) + (f" +{more:,}" if more > 0 else "")


def _listed_shape(listed: ListedDefinition) -> Shape:
    return {**_shape(listed.definition), "schedules": listed.schedules}


def _shown_shape(shown: ShownDefinition) -> Shape:
    return {
        **_shape(shown.definition),
        "stored_series": shown.stored,
        "schedules": [listed_shape(one) for one in shown.schedules],
        "jobs": [
            {
                "job_id": job.id,
                "kind": job.kind,
                "state": job.state,
                "outcome": job.outcome,
                "created_at": job.created_at,
            }
            for job in shown.jobs
        ],
    }


def _shape(row: DefinitionRow) -> Shape:
    return {
        "definition": row.name,
        "symbols": list(row.symbols),
        "timeframe": row.timeframe,
        "adjustment": row.adjustment,
        "hours": row.hours,
        "venue": row.venue or None,
        "history_start": row.history_start,
        "providers": list(row.providers),
        "freshness": row.freshness,
        "deadline": row.deadline,
        "stale_after": row.stale_after,
        "priority": row.priority,
        "weight": row.weight,
        "tries": row.tries,
        "retry_class": row.retry_class,
        "revision": row.revision,
        "enabled": row.enabled,
    }
