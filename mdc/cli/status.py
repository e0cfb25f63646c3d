"""`mdc status`: what runs."""

from __future__ import annotations

import json

import click
from django.conf import settings
from rich.console import Console
from rich.table import Table

from mdc.stack.lock import RunningStack, read_running


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> None:
    """Show the processes and addresses of the stack at MDC_HOME; exit 1 when none runs."""
    running = read_running(settings.MDC_HOME)
    if as_json:
        click.echo(json.dumps(_as_object(running), indent=2))
        return
    table = Table("process", "state", "pid", "restarts", title=f"mdc at {running.home}")
    for process in running.processes:
        table.add_row(
            process.name, str(process.phase), str(process.pid or "-"), str(process.restarts)
        )
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(table)
    for name, address in running.addresses.items():
        console.print(f"{name}: {address}")


def _as_object(running: RunningStack) -> dict[str, object]:
    return {
        "home": str(running.home),
        "pid": running.pid,
        "addresses": dict(running.addresses),
        "processes": [
            {
                "name": process.name,
                "state": str(process.phase),
                "pid": process.pid,
                "restarts": process.restarts,
            }
            for process in running.processes
        ],
    }
