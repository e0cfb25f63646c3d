"""The bus carries one message per series of a batch, over a real broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
import redis
from kombu import Connection, Exchange, Queue

from ingestion.domain.delivery import Batch
from ingestion.domain.errors import BadRequest
from ingestion.store.targets import standings
from ingestion.target_access import open_sink
from ingestion.targets.base import Surroundings
from ingestion.targets.bus import MessageBus
from mdc.stack.embedded import EmbeddedStack
from tests.targets.receiving import a_job, commit, daily, declare, deliver_next, drain

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(servers: EmbeddedStack, settings: Any) -> Iterator[str]:
    """Give an empty broker, as MDC's own."""
    valkey = redis.Redis(unix_socket_path=str(servers.home.valkey_socket))
    valkey.flushall()
    settings.BROKER_URL = servers.broker_url
    yield servers.broker_url
    valkey.flushall()


def messages(broker: str, queue: str = "mdc.bars") -> list[Any]:
    """Take everything out of a queue."""
    found = []
    with (
        Connection(broker) as connection,
        connection.SimpleQueue(queue) as waiting,
        suppress(waiting.Empty),
    ):
        while True:
            found.append(waiting.get_nowait())
            found[-1].ack()
    return found


def test_each_series_of_a_batch_is_a_message(broker: str) -> None:
    """It says what it is; ids repeat where a batch is repeated."""
    target = declare("bus", "bus", config=MessageBus.check({}, name="bus"))
    series = a_job("AAA", "^VIX")
    commit(series["AAA"], daily(0, 3))
    commit(series["^VIX"], daily(0, 2, absent=True))
    drain(target, open_sink)
    aaa, vix = messages(broker)
    assert (aaa.content_type, aaa.headers["schema"]) == ("application/json", "mdc.bars/1")
    assert aaa.delivery_info["routing_key"] == "synthetic.1d.AAA"
    body = json.loads(aaa.body)
    assert body["batch"] == aaa.headers["batch"]
    assert aaa.properties["message_id"] == f"bus-{body['batch']}-0"
    assert vix.properties["message_id"] == f"bus-{body['batch']}-1"
    (content,) = body["series"]
    assert content["symbol"] == "AAA"
    assert content["columns"]["close"] == [10.0, 10.0, 10.0]
    assert json.loads(vix.body)["series"][0]["columns"]["volume"] == [None, None]


def test_msgpack_and_a_binding_of_ones_own(broker: str) -> None:
    """A consumer binds what it wants to hear of; nobody is bound to the rest."""
    config = {"exchange": "prices", "queue": "", "serializer": "msgpack"}
    target = declare("bus", "bus", config=MessageBus.check(config, name="bus"))
    exchange = Exchange("prices", type="topic", durable=True)
    with Connection(broker) as connection:
        Queue("mine", exchange=exchange, routing_key="synthetic.*.AAA")(
            connection.default_channel
        ).declare()
    series = a_job("AAA", "BBB")
    for one in series.values():
        commit(one, daily(0, 3))
    drain(target, open_sink)
    (message,) = messages(broker, "mine")
    assert message.content_type == "application/x-msgpack"
    body = message.body
    content = msgspec.msgpack.decode(body if isinstance(body, bytes) else body.encode("latin-1"))
    assert content["series"][0]["symbol"] == "AAA"


def test_a_broker_that_is_away_is_no_loss(broker: str, settings: Any) -> None:
    """The target waits, and no password is in its words."""
    target = declare("bus", "bus", config=MessageBus.check({}, name="bus"))
    commit(a_job()["AAA"], daily(0, 3))
    settings.TARGET_URLS = {"bus": "redis://:hunter2@127.0.0.1:9/0"}
    deliver_next(target, open_sink)
    row = standings()[0].target
    assert row.error.startswith("the broker of target bus took nothing (")
    assert "MDC_TARGET_BUS_URL" in row.error
    assert "hunter2" not in row.error
    settings.TARGET_URLS = {"bus": "amqp://me:hunter2@127.0.0.1:9//"}
    deliver_next(target, open_sink)
    assert "hunter2" not in standings()[0].target.error
    settings.TARGET_URLS = {}
    drain(target, open_sink)
    assert len(messages(broker)) == 1


def test_a_broker_that_nothing_here_speaks_to_stops_the_target(settings: Any) -> None:
    """No try will help before a person installs the library or corrects the address."""
    target = declare("bus", "bus", config=MessageBus.check({}, name="bus"))
    commit(a_job()["AAA"], daily(0, 3))
    settings.TARGET_URLS = {"bus": "carrier-pigeon://:hunter2@roof/"}
    deliver_next(target, open_sink)
    row = standings()[0].target
    assert row.error.startswith("no library here speaks to the broker of target bus")
    assert not row.enabled


def test_a_test_declares_and_sends_nothing(broker: str) -> None:
    """The way to the broker is tried; the queue stays empty."""
    sink = MessageBus(Surroundings(name="bus", config={}, broker=broker))
    sink.deliver(Batch("bus", "test", ()))
    assert messages(broker) == []


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"exchange": ""}, "name of an exchange"),
        ({"routing_key": "{price}"}, "nothing else in braces"),
        ({"routing_key": "{"}, "nothing else in braces"),
        ({"serializer": "xml"}, "Invalid enum value"),
        ({"path": "/lake"}, "unknown field `path`"),
    ],
)
def test_settings_are_checked_when_they_are_declared(config: dict[str, str], says: str) -> None:
    """One sentence says what is wrong."""
    with pytest.raises(BadRequest, match=says):
        MessageBus.check(config, name="bus")
