"""A stack of its own for the recorded series, so that their instruments meet no other ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from mdc.stack.embedded import EmbeddedStack
from tests.conftest import point_django_at, temporary_home


@pytest.fixture(scope="module")
def recorded() -> Path:
    """Return the folder of the recorded series."""
    folder = os.environ.get("MDC_RECORDED_DIR")
    if not folder:
        pytest.skip("MDC_RECORDED_DIR is not set: recorded series are not at hand")
    return Path(folder) / "series"


@pytest.fixture(scope="module")
def own_stack(recorded: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[EmbeddedStack]:
    """Run a whole stack for this module, with Django pointed at its database."""
    with temporary_home() as folder, EmbeddedStack(folder, durable=False) as running:
        running.start(["control", "fetch", "beat"])
        connections.close_all()
        before = point_django_at(running.database_url)
        with django_db_blocker.unblock():
            try:
                yield running
            finally:
                connections.close_all()
                for target in (
                    connections.settings["default"],
                    connections["default"].settings_dict,
                ):
                    target.update(before)
