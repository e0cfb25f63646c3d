"""The calendar of the tests' venue."""

from __future__ import annotations

import pytest
from pytest_django import DjangoDbBlocker

from tests.protocol.scene import store_sessions


@pytest.fixture(scope="session", autouse=True)
def _calendar(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock():
        store_sessions()
