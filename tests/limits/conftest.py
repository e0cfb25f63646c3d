"""One pair of servers and a simulator for this folder; workers come in ones, twos and fours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from tests.recovery.field import Field, at_home_in, open_field, staffed

FOLDER = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put together what runs with the same number of processes: to change it takes seconds."""
    places = [place for place, item in enumerate(items) if FOLDER in item.path.parents]
    ours = sorted((items[place] for place in places), key=_fetch_processes)
    for place, item in zip(places, ours, strict=True):
        items[place] = item


def _fetch_processes(item: pytest.Item) -> int:
    return int(item.callspec.params["staff"]) if isinstance(item, pytest.Function) else 0


@pytest.fixture(scope="session")
def servers_and_simulator() -> Iterator[Field]:
    """Run what stays while workers come and go."""
    with open_field() as running:
        yield running


@pytest.fixture(
    scope="session",
    params=[1, pytest.param(2, marks=pytest.mark.drill), 4],
    ids="{}-processes".format,
)
def staff(request: pytest.FixtureRequest, servers_and_simulator: Field) -> Iterator[Field]:
    """Run control, beat and some fetch processes; their names are those of this field's stack."""
    ground = servers_and_simulator
    with staffed(ground, fetch_processes=request.param) as workers:
        yield Field(workers, ground.simulator, ground.crash_folder)
        # Nobody waits for what they still do.
        workers.hurry()


@pytest.fixture
def field(staff: Field, django_db_blocker: DjangoDbBlocker) -> Iterator[Field]:
    """Let the test's own Django work in the workers' database."""
    with at_home_in(staff, django_db_blocker) as prepared:
        yield prepared
