"""The embedded servers as everything else uses them."""

from __future__ import annotations

import stat
from pathlib import Path

import psutil
import psycopg
import pytest
from django.db import connection

from mdc.stack import postgres
from mdc.stack.addresses import Home
from mdc.stack.embedded import EmbeddedStack
from mdc.stack.errors import AlreadyRunning, ServerUnreachable, WrongDataVersion
from mdc.stack.external import check_broker, check_database
from mdc.stack.identity import server_identity


@pytest.mark.django_db
def test_the_test_database_is_the_embedded_postgresql() -> None:
    """A test that asks for the database talks to our own server, through its private socket."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('listen_addresses'), current_database()")
        assert cursor.fetchone() == ("", "test_mdc")


def test_a_durable_server_really_writes(stack: EmbeddedStack) -> None:
    """What a user's stack commits survives: nothing of PostgreSQL's safety is switched off."""
    with psycopg.connect(stack.database_url) as connected:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connected.execute(f"SHOW {setting}").fetchone() == ("on",)


def test_servers_listen_on_private_sockets_only(stack: EmbeddedStack) -> None:
    """No port is open, and only the user may enter the folder of the sockets."""
    for name in ("postgres", "valkey"):
        process = psutil.Process(stack.processes[name])
        assert [c for c in process.net_connections("inet") if c.status == "LISTEN"] == []
    assert stat.S_IMODE(stack.home.run.stat().st_mode) == 0o700


def test_files_are_private_to_the_user(stack: EmbeddedStack) -> None:
    """Everything below the home is closed to group and others."""
    identity = server_identity(server=postgres.binary("postgres"), home=stack.home.root)
    if identity.owner:
        pytest.skip("PostgreSQL has a user of its own here, who must be let in")
    opened = [path for path in (stack.home.root, *stack.home.root.rglob("*")) if _is_open(path)]
    assert opened == []


def _is_open(path: Path) -> bool:
    try:
        return bool(path.lstat().st_mode & 0o077)
    except FileNotFoundError:
        return False  # PostgreSQL removes files all the time


def test_a_second_stack_at_the_same_home_is_refused(stack: EmbeddedStack) -> None:
    """The second one names the process that runs already."""
    with pytest.raises(AlreadyRunning) as refusal, EmbeddedStack(stack.home):
        pass
    assert refusal.value.pid is not None
    assert psutil.pid_exists(refusal.value.pid)


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
