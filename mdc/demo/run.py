"""Run a demo from an empty folder to the last check, and leave nothing running."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.padding import Padding

from mdc.cli.output import count, span
from mdc.demo.database import using_database
from mdc.demo.errors import DemoFailed
from mdc.demo.plan import DemoPlan
from mdc.demo.provider import SIMULATOR, address, simulator_process, worker_environment
from mdc.demo.source import History, read_source
from mdc.demo.story import Stage, tell
from mdc.stack.addresses import Home
from mdc.stack.embedded import EmbeddedStack
from mdc.stack.ports import pick_port
from mdc.stack.processes import WORKERS
from mdc.stack.stopping import StopSignals
from mdc.stack.supervisor import ProcessSpec
from providers.simulator.process import SimulatorControl

_FETCH_PROCESSES = 2


def run_demo(
    plan: DemoPlan,
    *,
    home: Home,
    source: Path,
    console: Console,
    clock: Callable[[], datetime],
    signals: StopSignals,
) -> None:
    """Start a stack in an empty home, tell the story, stop everything again.

    `source` is the file that the stored bars are compared with; `clock` returns the time in UTC.
    Raises DemoFailed, StackError, or KeyboardInterrupt after a signal; nothing is left running.
    """
    history = read_source(source)
    _introduce(plan, history, home=home, console=console)
    port = pick_port(home, SIMULATOR)
    stack = EmbeddedStack(
        home,
        environment=worker_environment(address(port), processes=_FETCH_PROCESSES),
        fetch_processes=_FETCH_PROCESSES,
    )
    signals.watch_over(stack)
    with ExitStack() as leaving:
        # Registered before it is opened: a signal may come between the two.
        leaving.callback(stack.stop)
        leaving.callback(signals.begin_stopping)
        try:
            _open(stack, simulator_process(plan, home=home, port=port), console=console)
            leaving.enter_context(using_database(stack.database_url))
            simulator = leaving.enter_context(closing(SimulatorControl(address(port))))
            tell(Stage(plan, history, stack, simulator, console, clock))
        except KeyboardInterrupt:
            console.print("Stopping everything; Ctrl-C again hurries.")
            raise


def _open(stack: EmbeddedStack, simulator: ProcessSpec, *, console: Console) -> None:
    """Start everything, the simulator while the database is being prepared."""
    began = time.monotonic()
    with console.status("Starting PostgreSQL, Valkey, the workers, beat and the simulator ..."):
        stack.__enter__()
        stack.supervisor.add([simulator])
        stack.start(WORKERS)
        stack.supervisor.wait_ready([SIMULATOR])
    console.print(f"Running after {span(time.monotonic() - began)}, each a process of its own:")
    running = ", ".join(f"{name} {pid}" for name, pid in sorted(stack.processes.items()))
    console.print(Padding(running, (0, 0, 0, 12)))


def _introduce(plan: DemoPlan, history: History, *, home: Home, console: Console) -> None:
    missing = [symbol for symbol in plan.symbols if symbol not in history]
    if missing:
        raise DemoFailed(f"the source file has no prices of {', '.join(missing)}")
    bars = sum(len(history[symbol]) for symbol in plan.symbols)
    rate = f"{count(plan.limit.n, 'request')} per {span(plan.limit.window.total_seconds())}"
    console.print("Real daily prices through the whole machine", style="bold")
    for head, text in (
        ("Prices", f"{', '.join(plan.symbols)}, 2000-2013: {count(bars, 'bar')}"),
        ("", "unadjusted, public domain (Quandl WIKI)"),
        ("Providers", "a local simulator in the wire formats of yahoo and polygon:"),
        ("", f"{rate} each, some 429s and 5xx, and some unanswered"),
        ("", "(the real yahoo adjusts for splits; this one serves the file as is)"),
        ("Home", f"{home.root}"),
        ("", "emptied first; your own data is not touched"),
    ):
        console.print(f"{head:10}  {text}")
