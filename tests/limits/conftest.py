"""One pair of servers and a simulator for this folder; workers come in ones, twos and fours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tests.limits.ground import Ground, open_ground
from tests.recovery.field import Field


@pytest.fixture(scope="module")
def ground(django_db_blocker: DjangoDbBlocker) -> Iterator[Ground]:
    with open_ground(django_db_blocker) as prepared:
        yield prepared


@pytest.fixture(scope="module", params=[1, 2, 4], ids="{}-processes".format)
def field(request: pytest.FixtureRequest, ground: Ground) -> Iterator[Field]:
    with ground.worked_by(request.param) as worked:
        yield worked
