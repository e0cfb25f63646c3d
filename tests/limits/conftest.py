"""One database and a simulator for a module; workers come in ones, twos and fours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from mdc.stack.embedded import EmbeddedStack
from tests.conftest import own_database
from tests.recovery.field import Field, at_home_in, open_field, staffed

FOLDER = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put together what runs with the same number of processes: to change it takes seconds.

    Each module by itself, since none leaves its workers to the next one.
    """
    places = [place for place, item in enumerate(items) if FOLDER in item.path.parents]
    files = list(dict.fromkeys(items[place].path for place in places))
    ours = sorted(
        (items[place] for place in places),
        key=lambda item: (files.index(item.path), _fetch_processes(item)),
    )
    for place, item in zip(places, ours, strict=True):
        items[place] = item


def _fetch_processes(item: pytest.Item) -> int:
    return int(item.callspec.params["staff"]) if isinstance(item, pytest.Function) else 0


@pytest.fixture(scope="module")
def simulator_and_database(
    servers: EmbeddedStack, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Field]:
    """Give what stays while workers come and go; no longer, since others use the same broker."""
    with (
        own_database(servers, django_db_blocker) as url,
        open_field(database_url=url, broker_url=servers.broker_url) as running,
    ):
        yield running


@pytest.fixture(
    scope="module",
    params=[1, pytest.param(2, marks=pytest.mark.drill), 4],
    ids="{}-processes".format,
)
def staff(request: pytest.FixtureRequest, simulator_and_database: Field) -> Iterator[Field]:
    """Run control, beat and some fetch processes; their names are those of this field's stack."""
    ground = simulator_and_database
    with staffed(ground, fetch_processes=request.param) as workers:
        yield Field(workers, ground.simulator, ground.crash_folder)
        # Nobody waits for what they still do.
        workers.hurry()


@pytest.fixture
def db(staff: Field, django_db_blocker: DjangoDbBlocker) -> Iterator[Field]:
    """Let the test's own Django work in the workers' database.

    By this name pytest-django learns that the test database is needed, of which theirs is a copy.
    """
    with at_home_in(staff, django_db_blocker) as prepared:
        yield prepared


@pytest.fixture
def field(db: Field) -> Field:
    """Give the field in which the test is at home."""
    return db
