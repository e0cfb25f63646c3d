"""The calendar of the tests' venue, and a database for tests that must commit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from tests.protocol.scene import store_sessions

# The ledgers refuse TRUNCATE, and sessions are facts that every test may share.
_EMPTY = """
SET session_replication_role = replica;
TRUNCATE account, budget, instrument, provider_symbol, series, job, slice, attempt, checkpoint,
         coverage, empty_proof, missing_session, quarantine, audit_event, executor, fetch_run,
         bar, bar_revision RESTART IDENTITY CASCADE;
SET session_replication_role = DEFAULT;
"""


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
            with connection.cursor() as cursor:
                cursor.execute(_EMPTY)
            connections.close_all()
