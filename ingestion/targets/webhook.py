"""A webhook: one signed POST per batch."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ssl
from base64 import b64encode
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, ClassVar, Final
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec
import orjson

import ingestion
from ingestion.domain.delivery import Batch
from ingestion.domain.errors import BadRequest, DeliveryFailed
from ingestion.targets.base import DELIVERY_SECONDS, Sink, Surroundings, variable_name
from ingestion.targets.columns import message
from providers.statuses import retry_after_seconds
from providers.types import Response
from providers.watchdog import Watchdog

_CONNECT_SECONDS: Final = 5.0
_LATER: Final = frozenset((HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, 425))


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """Settings: the address; '' where it comes from the environment, as one with a secret must."""

    url: str = ""


class Webhook(Sink):
    """POST the batch as JSON; a redirect is not followed, and no proxy is used."""

    KIND: ClassVar[str] = "webhook"
    GUARANTEE: ClassVar[str] = (
        "at least once: a batch counts when the receiver answers 2xx, and a repeated one has the "
        "same Idempotency-Key"
    )
    Config: ClassVar[type[msgspec.Struct]] = Config

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        address = around.address or msgspec.convert(around.config, Config).url
        if not address:
            raise DeliveryFailed(
                f"target {around.name} has no address; set {around.variable('URL')} for the "
                "process that delivers",
                permanent=True,
            )
        read = _read_address(address)
        if read is None:
            raise DeliveryFailed(
                f"the address of target {around.name} is no http(s) URL; correct "
                f"{around.variable('URL')}",
                permanent=True,
            )
        self._address = read

    @classmethod
    def check_world(cls, config: Any, *, name: str) -> None:
        """Refuse what is no address, and one that may hold a secret."""
        if not config.url:
            return
        address = _read_address(config.url)
        if address is None:
            raise BadRequest(
                f"the address of target {name} is no http(s) URL; write https://host/path",
                field="url",
            )
        if address.username or address.password or address.query or address.fragment:
            raise BadRequest(
                "an address with a login or a query may hold a secret, which is not stored: leave "
                f"--url out and set {variable_name(name, 'URL')}",
                field="url",
            )

    def deliver(self, batch: Batch) -> None:
        """Send the batch; one without parts is sent as well, as a test."""
        body = orjson.dumps(message(batch))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"mdc/{ingestion.__version__}",
            "Idempotency-Key": f"{batch.target}-{batch.key}",
        }
        headers |= _login(self._address)
        if self._around.secret:
            headers["X-MDC-Signature"] = sign(body, secret=self._around.secret)
        self._judge(self._exchange(body, headers))

    def _exchange(self, body: bytes, headers: dict[str, str]) -> Response:
        connection = _open(self._address)
        try:
            with _watchdog.watching(DELIVERY_SECONDS) as watch:
                connection.connect()
                watch.attach(connection.sock)
                connection.timeout = DELIVERY_SECONDS
                connection.sock.settimeout(DELIVERY_SECONDS)
                connection.request("POST", _path(self._address), body=body, headers=headers)
                answer = connection.getresponse()
                if watch.expired:
                    # A connection that was cut within the headers looks like their end.
                    raise TimeoutError
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise DeliveryFailed(
                f"{self._where} could not be reached or broke off ({type(error).__name__}); "
                "check that it runs, and its address"
            ) from None
        finally:
            connection.close()
        return Response(
            status=answer.status,
            headers={name.lower(): value for name, value in answer.getheaders()},
            body=b"",
            received_at=datetime.now(UTC),
        )

    def _judge(self, answer: Response) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise DeliveryFailed(
                f"{self._where} answered with a redirect ({status}), which is not followed; "
                f"correct the address, then `mdc target resume {self._around.name}`",
                permanent=True,
            )
        if 400 <= status < 500 and status not in _LATER:
            raise DeliveryFailed(
                f"{self._where} refused a batch ({status}{_advice(status, self._around)}); see to "
                f"it, then `mdc target resume {self._around.name}`",
                permanent=True,
            )
        raise DeliveryFailed(
            f"{self._where} asks to come again later ({status})",
            retry_after=retry_after_seconds(answer),
        )

    @property
    def _where(self) -> str:
        return f"the receiver of target {self._around.name} at {self._address.hostname}"


def sign(body: bytes, *, secret: str) -> str:
    """Return what the header X-MDC-Signature says of a body: sha256= and the HMAC in hex."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _read_address(text: str) -> SplitResult | None:
    try:
        address = urlsplit(text)
        usable = address.scheme in ("http", "https") and bool(address.hostname)
        # Reading the port is what checks it.
        return address if usable and address.port != 0 else None
    except ValueError:
        return None


def _open(address: SplitResult) -> http.client.HTTPConnection:
    assert address.hostname is not None
    if address.scheme == "https":
        return http.client.HTTPSConnection(
            address.hostname,
            address.port,
            timeout=_CONNECT_SECONDS,
            context=ssl.create_default_context(),
        )
    return http.client.HTTPConnection(address.hostname, address.port, timeout=_CONNECT_SECONDS)


def _login(address: SplitResult) -> dict[str, str]:
    """Carry a login that stands in the address of the environment."""
    if address.username is None:
        return {}
    login = f"{unquote(address.username)}:{unquote(address.password or '')}"
    return {"Authorization": "Basic " + b64encode(login.encode()).decode()}


def _path(address: SplitResult) -> str:
    path = address.path or "/"
    return f"{path}?{address.query}" if address.query else path


def _advice(status: int, around: Surroundings) -> str:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f": check {around.variable('SECRET')}"
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE):
        return ": check the address"
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return f": it is too large, `mdc target resize {around.name} --batch-size N`"
    return ""


_watchdog = Watchdog()
