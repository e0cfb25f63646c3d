"""The HTTP edge: one GET, bounded in time and size, and the error that a failure means.

Nothing is tried again and no redirect is followed here: each request spends a permit of the
account's budget, so only the caller may decide on another one. Messages name the provider and
the host, never a path, a parameter or a header, where keys may be.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ReadTimeoutError

from providers.bytebudget import ByteBudget
from providers.errors import ConfigError, PayloadError, ProviderError, TransientError
from providers.types import Request, Response
from providers.watchdog import Watch, Watchdog

__all__ = ["ByteBudget", "HttpEdge"]

_CHUNK: Final = 256 * 1024
_FAILURES: Final = (
    OSError,
    UnicodeError,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
)
_sending = threading.local()


def _drop(record: logging.LogRecord) -> bool:
    del record
    return False


# Their records quote whole URLs, where some providers want the key.
for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_drop)


class HttpEdge:
    """Send requests to one provider; safe to share between threads.

    `connect_timeout` bounds the connection, `read_timeout` each wait for bytes, and
    `total_deadline` the whole request (all in seconds). An answer may have `max_bytes` after
    decompression. With a `byte_budget`, a hold of the caller keeps the answer's bytes counted
    until the caller is done; without one they are counted while they are read.
    """

    def __init__(
        self,
        *,
        connect_timeout: float,
        read_timeout: float,
        total_deadline: float,
        max_bytes: int,
        byte_budget: ByteBudget | None,
        provider: str,
        user_agent: str,
    ) -> None:
        self._timeouts = (connect_timeout, read_timeout)
        self._total_deadline = total_deadline
        self._max_bytes = max_bytes
        self._budget = byte_budget
        self._provider = provider
        self._user_agent = user_agent
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._watchdog = Watchdog()

    def send(self, request: Request, *, depart: Callable[[], None] | None = None) -> Response:
        """Send one GET and return the answer, whatever its status.

        `depart` is called on an open connection, right before the request leaves; what it waits
        does not count against the deadline. Raises TransientError where the network or the provider
        fails, ConfigError where the address or the key cannot be used, PayloadError where the
        answer is too large.
        """
        where = self._where(request.url)
        with self._holding(), self._watchdog.watching(self._total_deadline) as watch:
            _sending.watch = watch
            _sending.depart = depart
            try:
                return self._exchange(request, where, watch)
            except _FAILURES as failure:
                error = self._translate(failure, where, watch)
            finally:
                _sending.watch = _sending.depart = None
        # Raised out here, so that the original, whose text may hold the URL, is not its context.
        raise error

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._sessions:
            self._sessions.pop().close()

    def _exchange(self, request: Request, where: str, watch: Watch) -> Response:
        session = self._session()
        # A proxy of the environment is meant for the internet, not for a server on this machine.
        session.trust_env = not _is_loopback(request.url)
        with session.get(
            request.url,
            params=dict(request.params),
            headers={"User-Agent": self._user_agent, **request.headers},
            timeout=self._timeouts,
            allow_redirects=False,
            stream=True,
        ) as answer:
            received_at = datetime.now(UTC)
            body = self._read(answer, where, watch)
            return Response(
                status=answer.status_code,
                headers={name.lower(): value for name, value in answer.headers.items()},
                body=body,
                received_at=received_at,
            )

    def _read(self, answer: requests.Response, where: str, watch: Watch) -> bytes:
        length = answer.headers.get("content-length", "")
        reserved = int(length) if length.isdecimal() else 0
        self._check_size(reserved, where)
        self._reserve(reserved, where, watch)
        parts: list[bytes] = []
        size = 0
        for part in answer.raw.stream(_CHUNK, decode_content=True):
            size += len(part)
            self._check_size(size, where)
            if size > reserved:
                self._reserve(size - reserved, where, watch)
                reserved = size
            parts.append(part)
        if watch.expired:
            # Without a stated length a connection that was cut looks like the end.
            raise TimeoutError
        if not parts and answer.status_code == HTTPStatus.OK and not _states_length(answer):
            # The end of a connection within the headers looks like an answer without a body.
            raise ConnectionError
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _check_size(self, size: int, where: str) -> None:
        if size > self._max_bytes:
            raise PayloadError(
                f"{where} sent more than {self._max_bytes} bytes; ask for a shorter window",
                provider=self._provider,
            )

    def _reserve(self, size: int, where: str, watch: Watch) -> None:
        if self._budget is None or self._budget.reserve(size, timeout=watch.remaining):
            return
        raise TransientError(
            f"no memory was free within {self._total_deadline:g} s for an answer of {where}; "
            "it will be asked again",
            provider=self._provider,
        )

    def _holding(self) -> AbstractContextManager[None]:
        return nullcontext() if self._budget is None else self._budget.hold()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            for scheme in ("http://", "https://"):
                session.mount(scheme, _WatchedAdapter(pool_connections=2, pool_maxsize=1))
            # Otherwise ~/.netrc would replace the Authorization header.
            session.auth = _unchanged
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            self._local.session = session
            self._sessions.append(session)
        return session

    def _where(self, url: str) -> str:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise self._bad_address() from None
        if not host or parts.scheme not in ("http", "https"):
            raise self._bad_address()
        return f"{self._provider} at {host}" + (f":{port}" if port else "")

    def _translate(self, failure: Exception, where: str, watch: Watch) -> ProviderError:
        causes = list(_causes(failure))

        def caused_by(*kinds: type[BaseException]) -> bool:
            return any(isinstance(cause, kinds) for cause in causes)

        if watch.expired or not watch.remaining:
            return self._transient(f"{where} did not finish within {self._total_deadline:g} s")
        if caused_by(*_ADDRESS_ERRORS):
            return self._bad_address()
        if caused_by(requests.exceptions.InvalidHeader, UnicodeError):
            return ConfigError(
                f"the key of {self._provider} has characters that no HTTP header can carry; "
                f"check {self._setting('KEY')}",
                provider=self._provider,
            )
        if caused_by(ssl.SSLCertVerificationError):
            return ConfigError(
                f"the certificate of {where} cannot be verified; "
                f"check {self._setting('BASE_URL')} and the machine's clock",
                provider=self._provider,
            )
        if caused_by(ConnectTimeoutError, NewConnectionError, requests.exceptions.ProxyError):
            return self._transient(
                f"{where} is unreachable; check the network and {self._setting('BASE_URL')}"
            )
        if caused_by(ReadTimeoutError, TimeoutError):
            return self._transient(f"{where} sent nothing for {self._timeouts[1]:g} s")
        return self._transient(f"the connection to {where} broke off")

    def _transient(self, what: str) -> TransientError:
        return TransientError(f"{what}; it will be asked again", provider=self._provider)

    def _bad_address(self) -> ConfigError:
        return ConfigError(
            f"the address of {self._provider} is no valid http(s) URL; "
            f"check {self._setting('BASE_URL')}",
            provider=self._provider,
        )

    def _setting(self, name: str) -> str:
        return f"MDC_PROVIDER_{self._provider.upper()}_{name}"


class _WatchedConnection(HTTPConnection):
    """Tell the current request's watch on which socket its answer will come.

    A handshake may take longer than a permit is good: the request departs after it.
    """

    def connect(self) -> None:
        with _not_departing():
            super().connect()

    def send(self, data: Any) -> None:
        _depart(self)
        super().send(data)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        _attach(self.sock)
        return super().getresponse()


class _WatchedTlsConnection(HTTPSConnection):
    """Do the same on TLS."""

    def connect(self) -> None:
        with _not_departing():
            super().connect()

    def send(self, data: Any) -> None:
        _depart(self)
        super().send(data)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        _attach(self.sock)
        return super().getresponse()


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _WatchedConnection


class _WatchedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTlsConnection


class _WatchedAdapter(HTTPAdapter):
    """Make requests open watched connections, to a proxy as well."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


_POOLS: Final = {"http": _WatchedPool, "https": _WatchedTlsPool}
_ADDRESS_ERRORS: Final = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    urllib3.exceptions.LocationParseError,
    http.client.InvalidURL,
)


@contextmanager
def _not_departing() -> Iterator[None]:
    """Let what a proxy is told pass: it is not the request."""
    depart, _sending.depart = getattr(_sending, "depart", None), None
    try:
        yield
    finally:
        _sending.depart = depart


def _depart(connection: HTTPConnection) -> None:
    """Call what the request waits for, once, with the connection open before and after it."""
    depart: Callable[[], None] | None = getattr(_sending, "depart", None)
    if depart is None:
        return
    while True:
        if connection.sock is None:
            connection.connect()
        begun = time.monotonic()
        depart()
        _sending.watch.allow(time.monotonic() - begun)
        if connection.is_connected:
            _sending.depart = None
            return
        # The server had enough of waiting. Not close(): the request is being written.
        connection.sock.close()
        connection.sock = None


def _attach(connected: socket.socket | None) -> None:
    watch: Watch | None = getattr(_sending, "watch", None)
    if watch is not None and connected is not None:
        watch.attach(connected)


def _causes(failure: BaseException) -> Iterator[BaseException]:
    """Walk from a failure to what lies under it; requests hides causes in `args` and `reason`."""
    pending: list[object] = [failure]
    seen: set[int] = set()
    while pending:
        current = pending.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        pending += [current.__cause__, current.__context__, *current.args]
        pending.append(getattr(current, "reason", None))


def _states_length(answer: requests.Response) -> bool:
    return "content-length" in answer.headers or "transfer-encoding" in answer.headers


def _unchanged(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    return prepared


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
