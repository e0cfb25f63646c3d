"""A real TCP server on this machine that answers as a test dictates, byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Script = Callable[[socket.socket, threading.Event], None]


class WireServer:
    """Accept connections and run `script` on each one; `requests` keeps what arrived."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.stopped = threading.Event()
        self.requests: list[bytes] = []
        self._accepted: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Return the server's address."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def connections(self) -> int:
        """Return how many connections were made."""
        return len(self._accepted)

    def hang_up(self) -> None:
        """End the connections that there are, as a server does with idle ones."""
        for opened in self._accepted:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """End all connections and wait for their threads."""
        self.stopped.set()
        for opened in (self._listener, *self._accepted):
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._accepted.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        # A client that hangs up is what several tests are about.
        with connection, suppress(OSError):
            connection.settimeout(10)
            while request := self._read_head(connection):
                self.requests.append(request)
                self._script(connection, self.stopped)

    def _read_head(self, connection: socket.socket) -> bytes:
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(65_536)
            if not part:
                return b""
            head += part
        return head


@contextmanager
def serving(script: Script) -> Iterator[WireServer]:
    """Serve inside the block."""
    server = WireServer(script)
    try:
        yield server
    finally:
        server.stop()


def answer(body: bytes = b"{}", *, status: str = "200 OK", headers: tuple[str, ...] = ()) -> Script:
    """Answer every request in full and keep the connection."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    message = "\r\n".join(lines).encode() + body

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(message)

    return script


def raw(message: bytes) -> Script:
    """Send these bytes and hang up."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(message)
        connection.shutdown(socket.SHUT_RDWR)

    return script


def hang(message: bytes = b"") -> Script:
    """Send these bytes and then nothing, without hanging up."""

    def script(connection: socket.socket, stopped: threading.Event) -> None:
        connection.sendall(message)
        stopped.wait(10)

    return script


def drip(message: bytes, *, pause: float) -> Script:
    """Send one byte at a time, for ever if need be."""

    def script(connection: socket.socket, stopped: threading.Event) -> None:
        for byte in message:
            connection.sendall(bytes([byte]))
            if stopped.wait(pause):
                return

    return script
