"""The calendar of the tests' venue, and a database for tests that must commit."""

from __future__ import annotations

from tests.protocol.conftest import _calendar, committing

__all__ = ["_calendar", "committing"]
