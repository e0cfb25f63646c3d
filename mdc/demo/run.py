"""Run a demo from an empty folder to the last check, and leave nothing running."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from rich.console import Console

from mdc.cli.output import count, span
from mdc.demo.database import using_database
from mdc.demo.errors import DemoFailed
from mdc.demo.plan import DemoPlan
from mdc.demo.provider import simulator_config, worker_environment
from mdc.demo.source import History, read_source
from mdc.demo.story import Stage, tell
from mdc.stack.addresses import Home
from mdc.stack.embedded import EmbeddedStack
from mdc.stack.processes import WORKERS
from mdc.stack.stopping import StopSignals
from providers.simulator.process import Simulator

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
    with ExitStack() as closing:
        simulator = Simulator(simulator_config(plan))
        closing.callback(simulator.stop)
        stack = _open_stack(simulator, home=home, closing=closing, console=console, signals=signals)
        closing.enter_context(using_database(stack.database_url))
        # From here on backwards: the last callback is the first to be called.
        closing.callback(signals.begin_stopping)
        tell(Stage(plan, history, stack, simulator.control, console, clock))


def _open_stack(
    simulator: Simulator,
    *,
    home: Home,
    closing: ExitStack,
    console: Console,
    signals: StopSignals,
) -> EmbeddedStack:
    began = time.monotonic()
    with console.status("Starting PostgreSQL, Valkey, the workers and beat ..."):
        simulator.start()
        environment = worker_environment(simulator.base_url, processes=_FETCH_PROCESSES)
        stack = EmbeddedStack(home, environment=environment, fetch_processes=_FETCH_PROCESSES)
        signals.watch_over(stack)
        # Registered before it is opened: a signal may come between the two.
        closing.callback(stack.stop)
        stack.__enter__()
        stack.start(WORKERS)
    running = ", ".join(f"{name} {pid}" for name, pid in sorted(stack.processes.items()))
    console.print(f"Running after {span(time.monotonic() - began)}: {running}")
    console.print(f"The simulator, process {simulator.pid}, serves {simulator.base_url}")
    return stack


def _introduce(plan: DemoPlan, history: History, *, home: Home, console: Console) -> None:
    missing = [symbol for symbol in plan.symbols if symbol not in history]
    if missing:
        raise DemoFailed(f"the source file has no prices of {', '.join(missing)}")
    bars = sum(len(history[symbol]) for symbol in plan.symbols)
    console.print("Real daily prices through the whole machine", style="bold")
    console.print(
        f"Prices      {', '.join(plan.symbols)}, 2000-2013: {count(bars, 'bar')}, unadjusted, "
        "public domain (Quandl WIKI)"
    )
    console.print(
        f"Providers   a local simulator in the wire formats of yahoo and polygon; "
        f"{count(plan.limit.n, 'request')} per {span(plan.limit.window.total_seconds())} each, "
        "some 429s and 5xx"
    )
    console.print(
        "            (the real yahoo adjusts for splits; the simulated one sends the file as it is)"
    )
    console.print(f"Home        {home.root}, emptied first; your own data is not touched")
