"""`mdc findings list | show`."""

from __future__ import annotations

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.domain.findings import UNSETTLED, Check, FindingState, Severity, evidence_words
from ingestion.services.list_findings import list_findings, show_finding
from ingestion.store.finding_reads import ListedFinding
from mdc.cli import options
from mdc.cli.errors import SpeakingCommand, SpokenUsage
from mdc.cli.output import NOTHING, count, out_console, print_json, table, when
from mdc.cli.shapes import finding_shape
from providers.types import Timeframe

_MOST_WORDS = 80


@click.command("list", cls=SpeakingCommand)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in FindingState]),
    help="Only findings that stand so; open and repairing by default.",
)
@click.option("--all", "every", is_flag=True, help="Settled ones too.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice([kind.value for kind in Check]))
@click.option(
    "--severity", "severities", multiple=True, type=click.Choice([one.value for one in Severity])
)
@options.symbols()
@options.timeframes(help="Only these bar lengths.")
@options.provider()
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--before", "before_id", type=int, metavar="ID", help="Only older ones than this.")
@options.as_json("Print JSON.")
def list_(
    *,
    states: tuple[str, ...],
    every: bool,
    kinds: tuple[str, ...],
    severities: tuple[str, ...],
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    provider: str | None,
    limit: int,
    before_id: int | None,
    as_json: bool,
) -> None:
    """List findings, newest first: what is open or being repaired."""
    if every and states:
        raise SpokenUsage("--all and --state exclude each other; keep one")
    wanted = tuple(FindingState(state) for state in states) or UNSETTLED
    found = list_findings(
        states=None if every else wanted,
        kinds=[Check(kind) for kind in kinds] or None,
        severities=[Severity(one) for one in severities] or None,
        symbols=symbols or None,
        timeframes=timeframes or None,
        provider=provider,
        before_id=before_id,
        limit=limit,
    )
    if as_json:
        print_json([finding_shape(one) for one in found])
        return
    if not found:
        click.echo("No findings. `mdc inspect` looks at what is stored.")
        return
    made = table(
        *("finding", "kind", "severity", "state", "provider", "symbol", "timeframe"),
        *("from", "to", "times", "seen", "evidence"),
        numeric=frozenset(("finding", "times")),
    )
    for one in found:
        made.add_row(*_line(one))
    console = out_console()
    console.print(made)
    if len(found) == limit:
        console.print(f"Older ones: mdc findings list --before {found[-1].id}")


def _line(one: ListedFinding) -> tuple[str, ...]:
    words = ", ".join(f"{name} {value}" for name, value in evidence_words(one.evidence, most=2))
    return (
        str(one.id),
        one.kind,
        one.severity,
        f"{one.state} (job {one.job_id})" if one.state is FindingState.REPAIRING else one.state,
        one.provider,
        one.symbol or NOTHING,
        one.timeframe or NOTHING,
        when(one.window.start if one.window else None),
        when(one.window.end if one.window else None),
        f"{one.times:,}",
        when(one.seen_at),
        words if len(words) <= _MOST_WORDS else words[: _MOST_WORDS - 1] + "…",
    )


@click.command(cls=SpeakingCommand)
@click.argument("finding_id", type=int)
@options.as_json("Print JSON.")
def show(*, finding_id: int, as_json: bool) -> None:
    """Show one finding: what, where, how often, and by which evidence."""
    one = show_finding(finding_id)
    if as_json:
        print_json(finding_shape(one))
        return
    about = f"{one.symbol} {one.timeframe} of {one.provider}" if one.symbol else one.provider
    span = f" from {when(one.window.start)} to {when(one.window.end)}" if one.window else ""
    click.echo(f"Finding {one.id}: {one.kind} ({one.severity}) in {about}{span}")
    click.echo(f"  state     {one.state}" + (f", job {one.job_id}" if one.job_id else ""))
    click.echo(
        f"  seen      {count(one.times, 'time')}, {when(one.found_at)} to {when(one.seen_at)}"
    )
    if one.closed_at:
        click.echo(f"  closed    {when(one.closed_at)} by {one.closed_by}: {one.reason}")
    told = evidence_words(one.evidence, most=20)
    width = max([9, *(len(name) for name, _ in told)])
    for name, value in told:
        click.echo(f"  {name:<{width}} {value}")
    if one.state is FindingState.OPEN:
        click.echo(
            f"`mdc findings repair {one.id}` fetches it again;"
            f" `mdc findings accept {one.id} --reason ...` says why it stays."
        )
