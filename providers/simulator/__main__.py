"""Run the simulator: python -m providers.simulator --port 0 --config faults.toml"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import gc
import json
import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from providers.simulator.app import SimulatorApp
from providers.simulator.arrivals import Queue, Stamps, listen
from providers.simulator.bridge import synthetic_bars
from providers.simulator.config import ConfigProblem, SimulatorConfig, load_config
from providers.simulator.control import PREFIX, Control
from providers.simulator.recorded import VENUE
from providers.simulator.server import Connection
from providers.simulator.wire import Deferred, Incoming, Reply
from providers.venues import load_sessions

HOST = "127.0.0.1"


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns 2 where the configuration or the port is unusable."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        config = SimulatorConfig() if options.config is None else load_config(options.config)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(config, options))
    except ConfigProblem as problem:
        sys.stderr.write(f"simulator: {problem}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"simulator: cannot listen on {HOST}:{options.port}: {error}\n")
        return 2
    return 0


async def serve(config: SimulatorConfig, options: argparse.Namespace) -> None:
    """Listen on the loopback interface, announce the address, and wait to be stopped."""
    loop = asyncio.get_running_loop()
    app = SimulatorApp(config, synthetic=synthetic_bars)
    control = Control(app)

    def handle(incoming: Incoming, arrival: int) -> Reply | Deferred:
        if incoming.target.startswith(PREFIX):
            return control.handle(incoming)
        return app.handle(incoming, arrival=arrival)

    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if options.watch_stdin:
        loop.add_reader(sys.stdin.fileno(), functools.partial(_stop_at_end, stopped))
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="render")
    stamps = Stamps()
    connection = functools.partial(
        Connection, handle, pool, stamps=stamps, queue=Queue(), compress=config.gzip
    )
    listener = listen(HOST, options.port, stamps)
    server = await loop.create_server(connection, sock=listener, backlog=512)
    app.base_url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    # Loaded before anybody waits: the first load of a calendar takes half a second.
    load_sessions(VENUE)
    # What lives now lives on: keep the collector from walking over it while arrivals wait.
    gc.collect()
    gc.freeze()
    # A page being rendered beside the loop must not make other answers wait.
    sys.setswitchinterval(0.0005)
    announce(app.base_url, options.port_file)
    await stopped.wait()
    server.close()
    pool.shutdown(wait=False, cancel_futures=True)


def announce(base_url: str, port_file: Path | None) -> None:
    """Tell the address in one write: a line of JSON on stdout, and the port file if asked for."""
    line = json.dumps({"base_url": base_url, "pid": os.getpid()}) + "\n"
    if port_file is not None:
        draft = port_file.with_name(f"{port_file.name}.{os.getpid()}")
        draft.write_text(line, encoding="utf-8")
        draft.replace(port_file)
    os.write(sys.stdout.fileno(), line.encode())


def _stop_at_end(stopped: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        stopped.set()
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m providers.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--config", type=Path, help="a .toml or .json file")
    parser.add_argument("--port-file", type=Path, help="also write the address here, atomically")
    parser.add_argument(
        "--watch-stdin",
        action="store_true",
        help="stop when stdin ends, so that nothing survives the process that started this",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
