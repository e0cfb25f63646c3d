"""Fixtures that the command line's tests have too."""

from __future__ import annotations

from tests.cli.conftest import committed, run

__all__ = ["committed", "run"]
