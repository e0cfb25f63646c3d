"""Real workers deliver what a real tick hints at; one that is killed loses nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.dataset as ds
import pytest
import redis
from django.db import OperationalError, connections
from kombu import Connection
from pytest_django import DjangoDbBlocker

from ingestion.services.remove_target import remove_target
from ingestion.services.replay_target import replay_target
from ingestion.store.targets import standings
from ingestion.targets.parquet import ParquetLake
from ingestion.tasks import tick
from mdc.stack.addresses import Home
from mdc.stack.embedded import EmbeddedStack
from tests.conftest import temporary_home
from tests.protocol.scene import TESTER, sql, value
from tests.tables import empty_tables
from tests.targets.receiver import Answer, receiving
from tests.targets.receiving import Consumer, a_job, commit, daily, declare, drain, stored


@pytest.fixture
def db(_calendar: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let a test commit for the workers to see; everything is emptied after it."""
    with django_db_blocker.unblock():
        try:
            yield
        finally:
            empty_tables()


@pytest.fixture(scope="module")
def crash_folder() -> Iterator[Path]:
    """Give the folder in which crash points are armed."""
    with temporary_home() as home:
        yield home.root


@pytest.fixture(scope="module")
def deliverers(
    _calendar: None,
    servers: EmbeddedStack,
    crash_folder: Path,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[EmbeddedStack]:
    """Run what ticks and what delivers on the test database."""
    redis.Redis(unix_socket_path=str(servers.home.valkey_socket)).flushall()
    name = str(connections["default"].settings_dict["NAME"])
    with (
        temporary_home() as home,
        EmbeddedStack(
            Home.at(home.root),
            database_url=servers.home.database_url(name),
            broker_url=servers.broker_url,
            environment={
                "MDC_CRASH_POINTS": str(crash_folder),
                "MDC_TARGET_HOOK_SECRET": "hunter2",
            },
        ) as running,
    ):
        running.start(["control", "deliver"], prepare=False)
        yield running
    with django_db_blocker.unblock():
        empty_tables()


def tick_until(deliverers: EmbeddedStack, done: Callable[[], bool]) -> None:
    """Tick as beat does until something is so."""
    deadline = time.monotonic() + 30
    with Connection(deliverers.broker_url) as broker:
        while not done():
            assert time.monotonic() < deadline
            tick.apply_async(queue="control", expires=5, connection=broker)
            time.sleep(0.2)


def pending(name: str) -> int:
    """Count what is noted for a target."""
    return int(
        value(
            "SELECT count(*) FROM outbox o JOIN target t ON t.id = target_id WHERE name = %s", name
        )
    )


def lake_at(folder: Path, **request: Any) -> int:
    """Declare a lake."""
    return declare(
        "lake", "parquet", config=ParquetLake.check({"path": str(folder)}, name="lake"), **request
    )


def test_a_slow_webhook_holds_up_nothing(
    db: None, deliverers: EmbeddedStack, tmp_path: Path
) -> None:
    """The lake is full while the webhook has not answered its first batch yet."""
    lake_at(tmp_path)
    let = threading.Event()
    with receiving(Answer(let=let)) as receiver:
        declare("hook", config={"url": receiver.url})
        commit(a_job("AAA")["AAA"], daily(0, 30))
        tick_until(deliverers, lambda: bool(receiver.requests) and not pending("lake"))
        assert pending("hook") == 1
        (hook, lake) = (one.target for one in standings())
        assert (hook.delivered_bars, lake.delivered_bars) == (0, 30)
        let.set()
        tick_until(deliverers, lambda: not pending("hook"))
    assert receiver.requests[0][1]["X-MDC-Signature"].startswith("sha256=")


def test_a_killed_worker_loses_nothing(
    db: None, deliverers: EmbeddedStack, crash_folder: Path, tmp_path: Path
) -> None:
    """Killed by kill -9 when a batch had arrived and its notes were not struck yet: it comes again
    under the same key, so that a lake holds each bar once and a receiver may drop what it has
    seen."""
    lake_at(tmp_path, batch_size=10)
    blow = crash_folder / "deliver.before_end@hook"
    with receiving() as receiver:
        declare("hook", config={"url": receiver.url}, batch_size=10)
        commit(a_job("AAA")["AAA"], daily(0, 25))
        victim = deliverers.processes["deliver"]
        blow.touch()
        tick_until(deliverers, lambda: deliverers.processes.get("deliver") != victim)
        blow.unlink()
        assert pending("hook") == 1
        # As after its 45 seconds.
        sql("UPDATE target SET lease_until = clock_timestamp() WHERE lease_token IS NOT NULL")
        tick_until(deliverers, lambda: not pending("hook") and not pending("lake"))
    rows = ds.dataset(tmp_path, partitioning="hive").to_table().to_pydict()
    assert sorted(rows["ts"]) == sorted(set(rows["ts"]))
    assert len(rows["ts"]) == len(stored()) == 25
    keys = [headers["Idempotency-Key"] for _, headers, _ in receiver.requests]
    assert len(keys) > len(set(keys)) == 3
    once = {headers["Idempotency-Key"]: body for _, headers, body in receiver.requests}
    stamps = [
        ts
        for body in once.values()
        for part in json.loads(body)["series"]
        for ts in part["columns"]["ts_us"]
    ]
    assert len(stamps) == len(set(stamps)) == 25


def test_a_note_that_commits_late_is_not_lost(db: None, servers: EmbeddedStack) -> None:
    """Ids are drawn in order and committed in any: a later one that was delivered first takes
    nothing away from an earlier one, and a target that is removed waits for both."""
    target = declare("sink")
    series = a_job("AAA", "BBB")
    sql("UPDATE job SET targets = '{}'")
    commit(series["AAA"], daily(0, 5))
    sql("UPDATE job SET targets = NULL")
    consumer = Consumer()
    name = str(connections["default"].settings_dict["NAME"])
    with psycopg.connect(servers.home.database_url(name)) as slow:
        # As enqueue does.
        slow.execute("SELECT FROM target FOR KEY SHARE")
        slow.execute(
            'INSERT INTO outbox (target_id, series_id, "window", attempt_id, rows)'
            " VALUES (%s, %s, '[2024-01-01,2024-02-01)', 0, 5)",
            [target, series["AAA"]],
        )
        commit(series["BBB"], daily(0, 5))
        drain(target, consumer)
        assert {key[1] for key in consumer.latest} == {"BBB"}
        sql("SET lock_timeout = '200ms'")
        with pytest.raises(OperationalError):
            remove_target("sink", actor=TESTER)
        sql("RESET lock_timeout")
    assert pending("sink") == 1
    drain(target, consumer)
    assert consumer.latest == stored()


def test_what_is_replayed_is_delivered_by_the_worker(
    db: None, deliverers: EmbeddedStack, tmp_path: Path
) -> None:
    """A replay needs no job."""
    commit(a_job("AAA")["AAA"], daily(0, 25))
    lake_at(tmp_path)
    assert replay_target("lake", actor=TESTER).bars == 25
    tick_until(deliverers, lambda: not pending("lake"))
    assert ds.dataset(tmp_path, partitioning="hive").count_rows() == 25
