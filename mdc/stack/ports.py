"""Free ports on the loopback, the same as last time where that is possible."""

from __future__ import annotations

import socket

import psutil

from mdc.stack.addresses import Home
from mdc.stack.files import read_json, write_private_json

HOST = "127.0.0.1"
_FIRST_CHOICE = {"web": 8420, "flower": 8421, "simulator": 8422}


def pick_port(home: Home, name: str) -> int:
    """Return a free port for a process and remember it: bookmarks stay good across restarts."""
    remembered = read_json(home.ports)
    choices = [remembered.get(name), _FIRST_CHOICE.get(name), 0]
    port = next(port for port in (_free(choice) for choice in choices) if port is not None)
    write_private_json(home.ports, remembered | {name: port})
    return port


def listens(pid: int, port: int) -> bool:
    """Tell whether it is this process that listens on a port, and not another stack's."""
    try:
        found = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in found)


def _free(port: int | None) -> int | None:
    """Return the port, or a free one for 0; None when it is taken."""
    if not isinstance(port, int):
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])
