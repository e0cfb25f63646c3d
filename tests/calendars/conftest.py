"""The calendar of the tests' venue; the command in this process."""

from __future__ import annotations

from tests.cli.conftest import run, run_json
from tests.protocol.conftest import _calendar, committing

__all__ = ["_calendar", "committing", "run", "run_json"]
