"""`mdc target add` and `test`: declare a target, and try the way to it."""

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
from ingestion.store.targets import read_target
from ingestion.target_access import open_sink
from ingestion.targets.registry import SINKS, sink_class
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand, SpokenUsage
from mdc.cli.words import ListOption, split_words
from providers.registry import get_adapter
from providers.types import Timeframe


@click.command(cls=SpeakingCommand)
@click.argument("name")
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
    type=click.IntRange(1, LARGEST_BATCH),
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
            providers=[get_adapter(one).name for one in split_words(providers)] or None,
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


@click.command(cls=SpeakingCommand)
@click.argument("name")
def test(*, name: str) -> None:
    """Deliver one empty batch from here, with this shell's own addresses and secrets."""
    row = read_target(name)
    open_sink(row).deliver(Batch(target=row.name, key="test", parts=()))
    click.echo(f"{name} takes deliveries from here.")
