"""The calendar of the tests' venue, and a database for tests that must commit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tests.protocol.scene import store_sessions
from tests.tables import empty_tables


@pytest.fixture(scope="session", autouse=True)
def _calendar(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock():
        store_sessions()


@pytest.fixture
def committing(_calendar: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let a test commit for several connections to see; everything is emptied after it."""
    with django_db_blocker.unblock():
        try:
            yield
        finally:
            empty_tables()
