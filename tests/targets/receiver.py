"""A real HTTP receiver on this machine that answers as a test dictates."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Answer:
    """Hold one answer; it may come drop by drop, or only once a test lets it."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    drip_seconds: float = 0.0
    let: threading.Event | None = None


@dataclass(slots=True)
class Receiver:
    """Keep what arrived; the last of `answers` is given again and again."""

    answers: list[Answer] = field(default_factory=lambda: [Answer()])
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.receiver.requests.append((self.path, dict(self.headers), body))
        answers = self.receiver.answers
        try:
            self._give(answers.pop(0) if len(answers) > 1 else answers[0])
        except OSError:
            self.close_connection = True

    def _give(self, answer: Answer) -> None:
        if answer.let:
            answer.let.wait(60)
        if answer.drip_seconds:
            self._drip(answer.drip_seconds)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _drip(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Drip: ")
        while time.monotonic() < end:
            self.wfile.write(b".")
            self.wfile.flush()
            time.sleep(0.02)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def receiving(*answers: Answer) -> Iterator[Receiver]:
    """Serve until the context ends."""
    receiver = Receiver(list(answers) or [Answer()])
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/bars"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
