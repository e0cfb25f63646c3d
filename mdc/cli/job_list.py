"""`mdc job list`."""

from __future__ import annotations

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.domain.states import JobState
from ingestion.services.list_jobs import ListedJob, list_jobs
from mdc.cli.errors import SpeakingCommand
from mdc.cli.output import out_console, print_json, table, when
from mdc.cli.shapes import listed_shape


@click.command("list", cls=SpeakingCommand)
@click.option(
    "--state", "states", multiple=True, type=click.Choice([state.value for state in JobState])
)
@click.option("--provider", metavar="NAME", help="Only jobs at this provider.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--before", "before_id", type=int, metavar="ID", help="Only jobs older than this.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(
    *,
    states: tuple[str, ...],
    provider: str | None,
    limit: int,
    before_id: int | None,
    as_json: bool,
) -> None:
    """List jobs, newest first."""
    found = list_jobs(
        states=[JobState(state) for state in states] or None,
        provider=provider,
        before_id=before_id,
        limit=limit,
    )
    if as_json:
        print_json([listed_shape(one) for one in found])
        return
    if not found:
        click.echo("No jobs. `mdc backfill --help` says how to make one.")
        return
    numeric = frozenset(("job", "priority", "slices", "failed", "bars"))
    made = table(
        *("job", "state", "kind", "provider", "symbols", "timeframe"),
        *("priority", "slices", "failed", "bars", "created", "waits"),
        numeric=numeric,
    )
    for one in found:
        made.add_row(*_line(one))
    console = out_console()
    console.print(made)
    if len(found) == limit:
        console.print(f"Older ones: mdc job list --before {found[-1].job.id}")


def _line(one: ListedJob) -> tuple[str, ...]:
    row, slices = one.job, one.slices
    total = f"{slices.total:,}" if row.planned else f"{slices.total:,}+"
    more = row.symbol_count - len(row.symbols)
    return (
        str(row.id),
        f"{row.state} ({row.outcome})" if row.outcome else str(row.state),
        str(row.kind),
        row.provider,
        ",".join(row.symbols) + (f" +{more}" if more > 0 else ""),
        ",".join(row.timeframes),
        str(row.priority),
        f"{slices.settled:,}/{total}",
        f"{slices.dead:,}",
        f"{slices.rows:,}",
        when(row.created_at),
        "" if row.state.is_final else row.wait_reason,
    )
