"""The Market Data Collector. `from mdc import read_bars` reads stored bars into data frames."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdc.reading import read_bars

__all__ = ["read_bars"]


def __getattr__(name: str) -> Any:
    """Load the reader when it is first asked for: the command line has no use for it."""
    if name != "read_bars":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("mdc.reading").read_bars
