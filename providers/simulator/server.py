"""HTTP/1.1 on asyncio and httptools: just enough, and able to misbehave on request."""

from __future__ import annotations

import asyncio
import functools
import gzip
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus

import httptools

from providers.simulator.arrivals import Queue, Stamps
from providers.simulator.wire import Deferred, Incoming, Manner, Rendered, Reply

Handler = Callable[[Incoming, int], Reply | Deferred]

logger = logging.getLogger(__name__)
BROKEN = Reply(500, (b'{"error":"the simulator failed, see its log"}',))
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Connection(asyncio.Protocol):
    """Serve one client connection, one request after the other."""

    def __init__(
        self,
        handler: Handler,
        pool: ThreadPoolExecutor,
        *,
        stamps: Stamps,
        queue: Queue,
        compress: bool,
    ) -> None:
        self._handler = handler
        self._pool = pool
        self._stamps = stamps
        self._queue = queue
        self._compress = compress
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[Incoming, int, bool]] = deque()
        self._busy = False
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was still to be answered."""
        self._transport = None
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what is no HTTP/1.1 request closes the connection."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self._transport is not None:
                self._transport.write(BAD_REQUEST)
                self._transport.close()

    def on_message_begin(self) -> None:
        """Start a request."""
        self._target, self._headers, self._body = b"", {}, b""

    def on_url(self, url: bytes) -> None:
        """Collect the target, which may come in pieces."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Collect the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Take the time of arrival, and answer in turn."""
        incoming = Incoming(
            method=self._parser.get_method().decode("latin-1"),
            target=self._target.decode("latin-1"),
            headers=self._headers,
            body=self._body,
        )
        keep_alive = self._parser.should_keep_alive()
        self._queue.enter(
            self._stamps.latest, functools.partial(self._line_up, incoming, keep_alive)
        )

    def _line_up(self, incoming: Incoming, keep_alive: bool, arrival: int) -> None:
        self._waiting.append((incoming, arrival, keep_alive))
        self._answer_next()

    def _answer_next(self) -> None:
        if self._busy or not self._waiting:
            return
        self._busy = True
        incoming, arrival, keep_alive = self._waiting.popleft()
        compress = self._compress and "gzip" in incoming.headers.get("accept-encoding", "")
        deliver = functools.partial(
            self._deliver, arrival=arrival, keep_alive=keep_alive, compress=compress
        )
        try:
            answer = self._handler(incoming, arrival)
        except Exception:
            logger.exception("cannot answer %s", incoming.path)
            answer = BROKEN
        if isinstance(answer, Reply):
            deliver(answer)
            return
        finish = answer.finish
        future = self._loop.run_in_executor(self._pool, _guarded, answer.work)
        future.add_done_callback(lambda done: deliver(finish(done.result())))

    def _deliver(self, reply: Reply, *, arrival: int, keep_alive: bool, compress: bool) -> None:
        if compress:
            packed = gzip.compress(b"".join(reply.body), compresslevel=1)
            headers = (*reply.headers, ("Content-Encoding", "gzip"))
            reply = replace(reply, body=(packed,), headers=headers)
        send = functools.partial(self._send, reply, keep_alive=keep_alive)
        left = reply.delivery.delay - (time.monotonic_ns() - arrival) / 1e9
        if left > 0:
            self._loop.call_later(left, send)
        else:
            send()

    def _send(self, reply: Reply, *, keep_alive: bool) -> None:
        transport, delivery = self._transport, reply.delivery
        if transport is None:
            return
        if delivery.manner is Manner.RESET:
            transport.abort()
            return
        if delivery.manner is Manner.HANG:
            if delivery.hang_seconds is not None:
                self._loop.call_later(delivery.hang_seconds, transport.abort)
            return
        promised = sum(map(len, reply.body))
        if delivery.keep_fraction >= 1 and delivery.chunks == 1:
            transport.writelines([_head(reply, promised, keep_alive), *reply.body])
            self._done(keep_alive)
            return
        body = b"".join(reply.body)[: int(promised * delivery.keep_fraction)]
        if not delivery.cut_connection:
            promised = len(body)
        transport.write(_head(reply, promised, keep_alive))
        size = max(1, -(-len(body) // delivery.chunks))
        pieces = deque(body[at : at + size] for at in range(0, len(body), size))
        self._drip(pieces, delivery.interval, keep_alive and not delivery.cut_connection)

    def _drip(self, pieces: deque[bytes], interval: float, keep_alive: bool) -> None:
        if self._transport is None:
            return
        if pieces:
            self._transport.write(pieces.popleft())
        if pieces:
            self._loop.call_later(interval, self._drip, pieces, interval, keep_alive)
        else:
            self._done(keep_alive)

    def _done(self, keep_alive: bool) -> None:
        self._busy = False
        if self._transport is None:
            return
        if not keep_alive:
            self._transport.close()
        elif self._waiting:
            # Not called directly: a long pipeline would pile up on the stack.
            self._loop.call_soon(self._answer_next)


def _guarded(work: Callable[[], Rendered | Reply]) -> Rendered | Reply:
    try:
        return work()
    except Exception:
        logger.exception("cannot render an answer")
        return BROKEN


def _head(reply: Reply, length: int, keep_alive: bool) -> bytes:
    lines = [
        _status_line(reply.status),
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {reply.content_type}",
        f"Content-Length: {length}",
        "Connection: keep-alive" if keep_alive else "Connection: close",
    ]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@functools.cache
def _status_line(status: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return f"HTTP/1.1 {status} {phrase}"
