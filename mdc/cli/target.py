"""`mdc target`: where committed bars are delivered besides the bar table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.domain.delivery import Batch
from ingestion.services.declare_target import (
    DEFAULT_BATCH_SIZE,
    LARGEST_BATCH,
    TargetRequest,
    declare_target,
)
from ingestion.services.list_targets import list_targets
from ingestion.services.pause_target import pause_target
from ingestion.services.remove_target import remove_target
from ingestion.services.replay_target import replay_target
from ingestion.services.resize_target import resize_target
from ingestion.services.resume_target import resume_target
from ingestion.store.targets import Standing, read_target
from ingestion.target_access import open_sink
from ingestion.targets.registry import SINKS, sink_class
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand, SpokenUsage
from mdc.cli.inputs import Given
from mdc.cli.output import count, out_console, print_json, span, table, when
from mdc.cli.shapes import Shape
from mdc.cli.words import ListOption, split_words
from providers.types import Timeframe

_NAME = click.argument("name")
_REASON = click.option("--reason", default="", help="Why, for the audit ledger.")
_BATCH_SIZE = click.IntRange(1, LARGEST_BATCH)


@click.group()
def target() -> None:
    """Deliver committed bars elsewhere: a Parquet lake, a message bus, a webhook.

    The bar table is always the truth; a target that fails delays nothing and loses nothing.
    """


@target.command(cls=SpeakingCommand)
@_NAME
@click.argument("kind", type=click.Choice(list(SINKS)))
@click.option("--path", metavar="DIR", help="parquet: the folder of the lake.")
@click.option("--exchange", metavar="NAME", help="bus: the topic exchange.  [default: mdc.bars]")
@click.option(
    "--routing-key",
    metavar="TEXT",
    help="bus: of each message.  [default: {provider}.{timeframe}.{symbol}]",
)
@click.option(
    "--queue",
    metavar="NAME",
    help="bus: a queue bound to everything; '' for none.  [default: mdc.bars]",
)
@click.option("--serializer", type=click.Choice(["json", "msgpack"]), help="bus: the format.")
@click.option(
    "--url", metavar="URL", help="webhook: the address; one with a secret goes to the environment."
)
@click.option(
    "--batch-size",
    type=_BATCH_SIZE,
    default=DEFAULT_BATCH_SIZE,
    show_default=True,
    help="Bars in one delivery.",
)
@options.symbols()
@options.timeframes(help="Only these bar lengths.")
@click.option("--providers", "--provider", "providers", cls=ListOption, help="Only from these.")
def add(
    *,
    name: str,
    kind: str,
    batch_size: int,
    symbols: tuple[str, ...],
    timeframes: tuple[Timeframe, ...],
    providers: tuple[str, ...],
    **given: str | None,
) -> None:
    """Declare a target; it receives what is committed from now on.

    NAME is in small letters, digits and hyphens; KIND says what it is.
    """
    sink = sink_class(kind)
    config = sink.check(_config(kind, given), name=name)
    declare_target(
        TargetRequest(
            name=name,
            kind=kind,
            config=config,
            batch_size=batch_size,
            providers=split_words(providers) or None,
            symbols=symbols or None,
            timeframes=[one.value for one in timeframes] or None,
        ),
        actor=current_actor(),
    )
    click.echo(f"{name} receives what is committed from now on: {sink.GUARANTEE}.")
    click.echo(f"Next: mdc target test {name}; what is stored already: mdc target replay {name}")


def _config(kind: str, given: dict[str, str | None]) -> dict[str, Any]:
    """Keep the options that were given, and refuse those of another kind."""
    config: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    for key in config:
        if key not in sink_class(kind).Config.__struct_fields__:
            raise SpokenUsage(f"--{key.replace('_', '-')} does not belong to a {kind} target")
    if kind == "parquet":
        if "path" not in config:
            raise SpokenUsage("name the folder of the lake with --path DIR")
        config["path"] = str(Path(config["path"]).expanduser().absolute())
    return config


@target.command("list", cls=SpeakingCommand)
@options.as_json(help="Print JSON.")
def list_(*, as_json: bool) -> None:
    """List targets: what is pending, for how long, and the last error."""
    found = list_targets()
    if as_json:
        print_json([_shape(one) for one in found])
        return
    if not found:
        click.echo("No targets: bars go to the bar table alone. `mdc target add --help`")
        return
    made = table(
        *("target", "kind", "state", "pending bars", "lag", "delivered", "last", "error"),
        numeric=frozenset(("pending bars", "delivered")),
    )
    for one in found:
        row = one.target
        made.add_row(
            row.name,
            row.kind,
            _state(one),
            f"{one.pending_bars:,}",
            span(one.lag) if one.pending_entries else "",
            f"{row.delivered_bars:,}",
            when(row.delivered_at),
            row.error,
        )
    console = out_console()
    console.print(made)
    if any(one.state == "no worker" for one in found):
        console.print("Nobody delivers: `mdc up` runs the process `deliver`, and so must you.")
    for kind in sorted({one.target.kind for one in found}):
        console.print(f"{kind}: {sink_class(kind).GUARANTEE}.")


def _state(one: Standing) -> str:
    if one.state == "retrying":
        return f"retry at {when(one.target.next_attempt_at)}"
    return one.state


def _shape(one: Standing) -> Shape:
    row = one.target
    return {
        "name": row.name,
        "kind": row.kind,
        "state": one.state,
        "guarantee": sink_class(row.kind).GUARANTEE,
        "config": dict(row.config),
        "batch_size": row.batch_size,
        "providers": row.providers,
        "symbols": row.symbols,
        "timeframes": row.timeframes,
        "pending_entries": one.pending_entries,
        "pending_bars": one.pending_bars,
        "lag_seconds": one.lag,
        "delivered_bars": row.delivered_bars,
        "delivered_batches": row.delivered_batches,
        "delivered_at": row.delivered_at,
        "failures": row.failures,
        "next_attempt_at": row.next_attempt_at if row.failures else None,
        "error": row.error or None,
    }


@target.command(cls=SpeakingCommand)
@_NAME
@_REASON
def pause(*, name: str, reason: str) -> None:
    """Withhold deliveries; what is committed meanwhile is delivered after resuming."""
    paused = pause_target(name, actor=current_actor(), reason=reason)
    click.echo(f"{name} is paused." if paused else f"{name} was paused already.")


@target.command(cls=SpeakingCommand)
@_NAME
@_REASON
def resume(*, name: str, reason: str) -> None:
    """Let deliveries go on, and a failed one be tried at once."""
    resumed = resume_target(name, actor=current_actor(), reason=reason)
    click.echo(f"{name} goes on." if resumed else f"{name} was not stopped.")


@target.command(cls=SpeakingCommand)
@_NAME
@click.option("--batch-size", type=_BATCH_SIZE, required=True, help="Bars in one delivery.")
@_REASON
def resize(*, name: str, batch_size: int, reason: str) -> None:
    """Change the batch size; a delivery that failed is composed anew."""
    resize_target(name, batch_size=batch_size, actor=current_actor(), reason=reason)
    click.echo(f"{name} gets up to {count(batch_size, 'bar')} in one delivery.")


@target.command(cls=SpeakingCommand)
@_NAME
@click.option("--yes", is_flag=True, help="Really forget it and what is still pending.")
@_REASON
def remove(*, name: str, yes: bool, reason: str) -> None:
    """Forget a target; what it has received stays where it is."""
    if not yes:
        read_target(name)
        raise SpokenUsage(f"this forgets what is still pending for {name}: add --yes")
    forgotten = remove_target(name, actor=current_actor(), reason=reason)
    click.echo(f"{name} is gone, and with it {count(forgotten, 'pending delivery note')}.")


@target.command(cls=SpeakingCommand)
@_NAME
@options.symbols()
@options.window(start_help="First day (UTC); everything stored without it.")
@_REASON
def replay(
    *,
    name: str,
    symbols: tuple[str, ...],
    start: Given | None,
    end: Given | None,
    reason: str,
) -> None:
    """Deliver what is stored already, as if it had just been committed."""
    noted = replay_target(
        name,
        actor=current_actor(),
        symbols=symbols or None,
        start=start.as_start if start else None,
        end=end.as_end if end else None,
        reason=reason,
    )
    click.echo(
        f"{name} will receive {count(noted.bars, 'bar')} of {count(noted.series, 'series')}."
    )


@target.command(cls=SpeakingCommand)
@_NAME
def test(*, name: str) -> None:
    """Deliver one empty batch from here, with this shell's own addresses and secrets."""
    row = read_target(name)
    open_sink(row).deliver(Batch(target=row.name, key="test", parts=()))
    click.echo(f"{name} takes deliveries from here.")
