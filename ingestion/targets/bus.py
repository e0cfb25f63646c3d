"""Messages on a bus that kombu speaks: AMQP, Redis, Valkey and others."""

from __future__ import annotations

import string
from typing import Any, ClassVar, Literal

import msgspec
import orjson
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.exceptions import KombuError
from kombu.messaging import Producer

from ingestion.domain.delivery import Batch, Part
from ingestion.domain.errors import BadRequest, DeliveryFailed
from ingestion.targets.base import DELIVERY_SECONDS, Deadline, Sink, Surroundings
from ingestion.targets.columns import SCHEMA, message

_CONNECT_SECONDS = 5
_SEND_SECONDS = 5
_PLACES = frozenset(("provider", "symbol", "timeframe"))
_AMQP = {"confirm_publish": True, "read_timeout": _SEND_SECONDS, "write_timeout": _SEND_SECONDS}
_REDIS = {"socket_connect_timeout": _CONNECT_SECONDS, "socket_timeout": _SEND_SECONDS}
_OPTIONS: dict[str, dict[str, Any]] = {
    "amqp": _AMQP,
    "amqps": _AMQP,
    "pyamqp": _AMQP,
    "redis": _REDIS,
    "rediss": _REDIS,
    "valkey": _REDIS,
}


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """Settings: a topic exchange, the routing key of each message, and a queue bound to it.

    `routing_key` may name {provider}, {timeframe} and {symbol}. Without a `queue` a message
    reaches only who has bound one before.
    """

    exchange: str = "mdc.bars"
    routing_key: str = "{provider}.{timeframe}.{symbol}"
    queue: str = "mdc.bars"
    serializer: Literal["json", "msgpack"] = "json"


class MessageBus(Sink):
    """Publish one persistent message per series of a batch."""

    KIND: ClassVar[str] = "bus"
    GUARANTEE: ClassVar[str] = (
        "at least once into the broker: confirmed by brokers that confirm (AMQP), accepted by the "
        "others; a repeated batch repeats its messages with the same ids"
    )
    Config: ClassVar[type[msgspec.Struct]] = Config

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._config = msgspec.convert(around.config, Config)
        self._exchange = Exchange(self._config.exchange, type="topic", durable=True)
        self._declare: list[Exchange | Queue] = [self._exchange]
        if self._config.queue:
            self._declare.append(
                Queue(self._config.queue, exchange=self._exchange, routing_key="#", durable=True)
            )

    @classmethod
    def check_world(cls, config: Any, *, name: str) -> None:
        """Refuse a routing key that cannot be filled in."""
        if not config.exchange:
            raise BadRequest(f"target {name} needs the name of an exchange", field="exchange")
        try:
            places = {place for _, place, _, _ in string.Formatter().parse(config.routing_key)}
        except ValueError:
            places = {"?"}
        if places - _PLACES - {None}:
            raise BadRequest(
                f"the routing key {config.routing_key!r} may name {{provider}}, {{timeframe}} and "
                "{symbol}, and nothing else in braces",
                field="routing_key",
            )

    def deliver(self, batch: Batch) -> None:
        """Publish the messages of a batch; one without parts tests the way only."""
        # The last message may begin just before time is up.
        deadline = Deadline(target=self._around.name, seconds=DELIVERY_SECONDS - _SEND_SECONDS)
        connection = self._connect()
        failures = (
            *(KombuError, OSError),
            *connection.connection_errors,
            *connection.channel_errors,
        )
        try:
            with connection:
                # Left alone, kombu tries again and again.
                connection.ensure_connection(
                    max_retries=1, interval_start=0, timeout=_CONNECT_SECONDS
                )
                producer = Producer(connection)
                for one in self._declare:
                    producer.maybe_declare(one)
                for number, part in enumerate(batch.parts):
                    deadline.check()
                    self._publish(producer, batch, part, number=number)
        except failures as error:
            # The error's own text may quote the address, where a password may be.
            raise DeliveryFailed(
                f"the broker of target {self._around.name} took nothing ({type(error).__name__}); "
                f"check that it runs, and {self._around.variable('URL')}"
            ) from None

    def _connect(self) -> Connection:
        address = self._around.address or self._around.broker
        transport = address.partition(":")[0].partition("+")[0]
        try:
            return Connection(
                address,
                connect_timeout=_CONNECT_SECONDS,
                transport_options=dict(_OPTIONS.get(transport, {})),
            )
        except (KeyError, ImportError, ValueError):
            raise DeliveryFailed(
                f"no library here speaks to the broker of target {self._around.name}; check "
                f"{self._around.variable('URL')}, and install what kombu needs for it",
                permanent=True,
            ) from None

    def _publish(self, producer: Producer, batch: Batch, part: Part, *, number: int) -> None:
        content = message(batch, part)
        if self._config.serializer == "json":
            body, kind, encoding = orjson.dumps(content), "application/json", "utf-8"
        else:
            body, kind, encoding = (
                msgspec.msgpack.encode(content),
                "application/x-msgpack",
                "binary",
            )
        series = part.series
        producer.publish(
            body,
            exchange=self._exchange,
            routing_key=self._config.routing_key.format(
                provider=series.provider, timeframe=series.timeframe, symbol=series.symbol
            ),
            content_type=kind,
            content_encoding=encoding,
            delivery_mode="persistent",
            message_id=f"{batch.target}-{batch.key}-{number}",
            headers={"schema": SCHEMA, "target": batch.target, "batch": batch.key},
            confirm_timeout=_SEND_SECONDS,
        )
