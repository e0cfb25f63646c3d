"""Real servers for every test that asks for a database: started once, in a folder of their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections

from mdc.settings import database_settings
from mdc.stack.addresses import Home
from mdc.stack.embedded import EmbeddedStack


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedStack]:
    """Run PostgreSQL and Valkey for the whole session; nobody may kill these two."""
    # Not tmp_path: its name is long, and a socket's path may have only 103 bytes.
    home = Path(tempfile.mkdtemp(prefix="mdc-test-"))
    try:
        with EmbeddedStack(Home.at(home), durable=False) as running:
            yield running
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: EmbeddedStack) -> None:
    """Point Django at the session's PostgreSQL, before pytest-django makes the test database."""
    entry = connections.settings["default"]
    fresh = database_settings(servers.database_url)
    for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT"):
        entry[key] = fresh[key]
