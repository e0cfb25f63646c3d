"""What the tests of instruments share."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import providers.reference

# Fixtures of the command's tests serve here as well.
from tests.cli.conftest import committed, run, run_json  # noqa: F401


@pytest.fixture(scope="session")
def table() -> list[dict[str, str]]:
    """The lines of the shipped table, as they are written."""
    path = Path(providers.reference.__file__).with_name("symbols.csv")
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
