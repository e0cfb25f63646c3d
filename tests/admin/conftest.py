"""People with their roles, and a database in which every table holds rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from pytest_django import DjangoDbBlocker

from ingestion.services.ensure_roles import OPERATOR, VIEWER, ensure_roles
from tests.admin.seeds import fill, log_in
from tests.protocol.conftest import _calendar

# Sessions are written once, rather than with each job.
__all__ = ["_calendar"]


@pytest.fixture(autouse=True)
def _no_static_files(settings: Any) -> None:
    """Leave out what looks at every static file for each new client."""
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "whitenoise" not in name]


@pytest.fixture(scope="module")
def filled(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[int]:
    """Fill every table once for a module; see `full`."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield fill()
        transaction.set_rollback(True)


@pytest.fixture
def full(filled: int, db: None) -> int:
    """Return the number of a running job with failed slices, in a database without empty tables."""
    return filled


@pytest.fixture
def roles(db: None) -> None:
    """Make the groups."""
    ensure_roles()


@pytest.fixture
def viewer(roles: None) -> Client:
    """Return the browser of somebody who may look."""
    return log_in("vera", group=VIEWER)


@pytest.fixture
def operator(roles: None) -> Client:
    """Return the browser of somebody who may act."""
    return log_in("otto", group=OPERATOR)


@pytest.fixture
def superuser(roles: None) -> Client:
    """Return the browser of somebody who may do everything."""
    return log_in("ada", superuser=True)
