"""Real servers for every test that asks for a database: started once, in folders of their own.

servers     PostgreSQL and Valkey of the session; nobody may kill these two
workers     real Celery workers on the test database (for transactional tests)
staff       control, fetch and beat of a module, on a database of its own in the session's server
staff_db    points this process's Django at the database of `staff`
stack       a whole stack of its own, servers included: everything in it may be killed
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from django.db import connections
from psycopg import sql
from pytest_django import DjangoDbBlocker

from ingestion.services.ensure_periodic_tasks import ensure_periodic_tasks
from ingestion.services.ensure_roles import ensure_roles
from mdc.settings import database_settings
from mdc.stack.addresses import Home
from mdc.stack.embedded import EmbeddedStack
from mdc.stack.files import write_private_json
from mdc.stack.ports import HOST
from providers.declared import Declared, use_declared
from tests.tables import empty_tables

_ADDRESS = ("NAME", "USER", "PASSWORD", "HOST", "PORT")


def free_ports(*names: str) -> dict[str, int]:
    """Find a port for each name that nobody has; all are different."""
    with ExitStack() as held:
        probes = {name: held.enter_context(socket.socket()) for name in names}
        for probe in probes.values():
            probe.bind((HOST, 0))
        return {name: int(probe.getsockname()[1]) for name, probe in probes.items()}


@contextmanager
def temporary_home() -> Iterator[Home]:
    """Give a home with a short name (a socket's path may have only 103 bytes) and ports of its own.

    Several stacks start at once here: they would all choose the well-known ports, and the one
    whose page binds last would be without.
    """
    folder = Path(tempfile.mkdtemp(prefix="mdc-test-"))
    try:
        home = Home.at(folder)
        write_private_json(home.ports, free_ports("web", "flower", "simulator"))
        yield home
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def point_django_at(url: str) -> dict[str, str]:
    """Let Django's default connection use another database and return where it pointed."""
    entry = connections.settings["default"]
    before = {key: entry[key] for key in _ADDRESS}
    fresh = database_settings(url)
    for target in (entry, connections["default"].settings_dict):
        target.update({key: fresh[key] for key in _ADDRESS})
    return before


# With `-n` each worker takes the next file: what lasts longest must not begin last.
_LONGEST_FIRST = (
    *("recovery", "recorded", "stack", "limits", "demo"),
    *("instruments", "protocol", "targets", "admin"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the folders that take longest begin first, and keep the order within and after them."""
    ranks = {name: rank for rank, name in enumerate(_LONGEST_FIRST)}
    tests = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        return ranks.get(item.path.relative_to(tests).parts[0], len(ranks))

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def calendars_as_they_come() -> Iterator[None]:
    """Forget after each test what it declared of sessions: its rows are gone, the process stays."""
    yield
    use_declared(Declared())


@pytest.fixture
def home() -> Iterator[Home]:
    """Give one test a home of its own."""
    with temporary_home() as folder:
        yield folder


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedStack]:
    """Run PostgreSQL and Valkey for the whole session; nobody may kill these two."""
    with temporary_home() as folder, EmbeddedStack(folder, durable=False) as running:
        yield running


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: EmbeddedStack) -> None:
    """Point Django at the session's PostgreSQL, before pytest-django makes the test database."""
    point_django_at(servers.database_url)


@pytest.fixture
def workers(transactional_db: None, servers: EmbeddedStack, home: Home) -> Iterator[EmbeddedStack]:
    """Give processes on the test database: `workers.start(["control", "fetch"], prepare=False)`.

    They are gone before the tables are emptied. The broker starts empty.
    """
    redis.Redis(unix_socket_path=str(servers.home.valkey_socket)).flushall()
    name = str(connections["default"].settings_dict["NAME"])
    database_url = servers.home.database_url(name)
    with EmbeddedStack(home, database_url=database_url, broker_url=servers.broker_url) as running:
        yield running


@contextmanager
def django_at(url: str, blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let this process's Django work in another database; what it commits stays."""
    connections.close_all()
    before = point_django_at(url)
    with blocker.unblock():
        try:
            yield
        finally:
            connections.close_all()
            for target in (connections.settings["default"], connections["default"].settings_dict):
                target.update(before)


@contextmanager
def own_database(servers: EmbeddedStack, blocker: DjangoDbBlocker) -> Iterator[str]:
    """Give the address of a prepared database of the session's server, and an empty broker.

    It is a copy of the tests' own, which takes a tenth of what it takes to migrate an empty one.
    """
    name = f"own_{uuid.uuid4().hex[:8]}"
    tests = str(connections["default"].settings_dict["NAME"])
    connections.close_all()  # nobody may be in what is copied
    url = servers.home.database_url(name)
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*_names(name, tests)))
        with django_at(url, blocker):
            empty_tables()
            ensure_periodic_tasks()
            ensure_roles()
        redis.Redis(unix_socket_path=str(servers.home.valkey_socket)).flushall()
        try:
            yield url
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(*_names(name)))


def _names(*names: str) -> list[sql.Identifier]:
    return [sql.Identifier(name) for name in names]


@pytest.fixture(scope="module")
def staff(
    servers: EmbeddedStack, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[EmbeddedStack]:
    """Run control, fetch and beat for a module, on a database of its own; no server may be killed.

    They end with the module: a staff that idles costs a tenth of a processor.
    """
    with (
        own_database(servers, django_db_blocker) as url,
        temporary_home() as folder,
        EmbeddedStack(folder, database_url=url, broker_url=servers.broker_url) as running,
    ):
        running.start(["control", "fetch", "beat"], prepare=False)
        yield running


@pytest.fixture
def staff_db(staff: EmbeddedStack, django_db_blocker: DjangoDbBlocker) -> Iterator[EmbeddedStack]:
    """Let the test's own Django work in the database of `staff`; what it commits stays.

    A module uses it through a fixture named `db` of its own: by that name pytest-django learns
    that the test database is needed, of which this one is a copy.
    """
    with django_at(staff.database_url, django_db_blocker):
        yield staff


@pytest.fixture(scope="module")
def stack() -> Iterator[EmbeddedStack]:
    """Run a whole stack with its own database; every process in it may be killed."""
    with temporary_home() as folder, EmbeddedStack(folder) as running:
        running.start(["control", "fetch", "beat"])
        yield running
