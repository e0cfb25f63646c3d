"""`mdc simulate`: a provider on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from providers.simulator.__main__ import main as run_simulator


@click.command()
@click.option("--port", default=0, show_default=True, help="0 takes a free one.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Limits and faults, as .toml or .json.",
)
def simulate(port: int, config: Path | None) -> None:
    """Serve real daily prices (AAPL, GOOG, IBM, MSFT, FB, 2000-2013) as yahoo and polygon would.

    Prints its address as JSON and serves until Ctrl-C. Point mdc to it with
    MDC_PROVIDER_YAHOO_BASE_URL and MDC_PROVIDER_POLYGON_BASE_URL, each set to that address.
    """
    arguments = ["--port", str(port)]
    if config is not None:
        arguments += ["--config", str(config)]
    sys.exit(run_simulator(arguments))
