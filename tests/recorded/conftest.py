"""A database of its own for the recorded series, so that their instruments meet no other ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from mdc.stack.embedded import EmbeddedStack
from tests.conftest import django_at


@pytest.fixture(scope="module")
def recorded() -> Path:
    """Return the folder of the recorded series."""
    folder = os.environ.get("MDC_RECORDED_DIR")
    if not folder:
        pytest.skip("MDC_RECORDED_DIR is not set: recorded series are not at hand")
    return Path(folder) / "series"


@pytest.fixture(scope="module")
def db(
    recorded: Path, staff: EmbeddedStack, django_db_blocker: DjangoDbBlocker
) -> Iterator[EmbeddedStack]:
    """Give workers of this module's own, with Django pointed at their database.

    By this name pytest-django learns that the test database is needed, of which theirs is a copy.
    """
    with django_at(staff.database_url, django_db_blocker):
        yield staff
