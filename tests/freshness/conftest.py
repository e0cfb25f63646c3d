"""The calendar of the tests' venue."""

from __future__ import annotations

from tests.protocol.conftest import _calendar

__all__ = ["_calendar"]
