"""The fields of a page of aggregates: those that are read, and those that are left aside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from providers.drift import Level, find_drift, outline

_PAGE: Final = Level(
    "the page",
    needed=frozenset({"status", "adjusted", "queryCount", "resultsCount"}),
    other=frozenset({"ticker", "results", "request_id", "count", "next_url"}),
)
_ROW: Final = Level(
    "results",
    needed=frozenset({"t", "o", "h", "l", "c"}),
    other=frozenset({"v", "vw", "n", "otc", "T"}),
)


def page_drift(body: bytes) -> tuple[str, ...]:
    """Say how a page differs from what this adapter knows; of the rows the first one stands in."""
    document = outline(body)
    return find_drift(_levels(document)) if isinstance(document, dict) else ()


def _levels(page: dict[str, Any]) -> Iterator[tuple[Level, object]]:
    yield _PAGE, page
    rows = page.get("results")
    if isinstance(rows, list) and rows:
        yield _ROW, rows[0]
