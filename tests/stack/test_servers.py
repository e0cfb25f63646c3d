"""The embedded servers as everything else uses them."""

from __future__ import annotations

import stat
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from mdc.stack.addresses import Home
from mdc.stack.embedded import EmbeddedStack
from mdc.stack.errors import ServerUnreachable, WrongDataVersion
from mdc.stack.external import check_broker, check_database


@pytest.mark.django_db
def test_the_test_database_is_the_embedded_postgresql() -> None:
    """A test that asks for the database talks to our own server, through its private socket."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('listen_addresses'), current_database()")
        assert cursor.fetchone() == ("", "test_mdc")


def test_data_survives_a_stop(home: Home) -> None:
    """The second start finds what the first one stored, at the same address."""
    with EmbeddedStack(home) as first, psycopg.connect(first.database_url) as connected:
        connected.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        connected.commit()
    with EmbeddedStack(home) as second, psycopg.connect(second.database_url) as connected:
        assert connected.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_cluster_of_another_major_version_is_refused(home: Home) -> None:
    """The user is told before PostgreSQL refuses in its log."""
    home.postgres_data.mkdir(parents=True)
    (home.postgres_data / "PG_VERSION").write_text("12\n")
    with pytest.raises(WrongDataVersion) as refusal, EmbeddedStack(home):
        pass
    assert refusal.value.found == "12"


def test_a_deep_home_still_gets_a_socket_that_fits(tmp_path: Path) -> None:
    """A Unix socket's path is limited: a long home keeps its sockets in a short folder."""
    deep = Home.at(tmp_path / ("deep" * 12) / ("deeper" * 12))
    try:
        with EmbeddedStack(deep, durable=False) as running:
            assert not deep.run.is_relative_to(deep.root)
            assert stat.S_IMODE(deep.run.stat().st_mode) == 0o700
            with psycopg.connect(running.database_url) as connected:
                assert connected.execute("SELECT 1").fetchone() == (1,)
    finally:
        for left in deep.run.iterdir():
            left.unlink()
        deep.run.rmdir()


def test_an_unreachable_database_of_the_user_is_named_without_its_password() -> None:
    """The message says which variable is wrong and keeps the secret."""
    with pytest.raises(ServerUnreachable) as error:
        check_database("postgresql://me:hunter2@127.0.0.1:9/prices")
    assert error.value.variable == "MDC_DATABASE_URL"
    assert "hunter2" not in str(error.value)


def test_an_unreachable_broker_of_the_user_is_named_without_its_password() -> None:
    """The message says which variable is wrong and keeps the secret."""
    with pytest.raises(ServerUnreachable) as error:
        check_broker("redis://:hunter2@127.0.0.1:9/0")
    assert error.value.variable == "MDC_BROKER_URL"
    assert "hunter2" not in str(error.value)


def test_own_servers_take_the_place_of_the_embedded_ones(
    servers: EmbeddedStack, home: Home
) -> None:
    """With both addresses given, no server is started."""
    with EmbeddedStack(
        home,
        database_url=servers.home.database_url("postgres"),
        broker_url=servers.broker_url,
    ) as running:
        assert running.processes == {}
