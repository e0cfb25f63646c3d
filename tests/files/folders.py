"""Write small folders of files, and read them as the adapter does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from providers.adapters.files import Files
from providers.bars import Bars
from providers.files.cache import FileCache
from providers.files.declared import DeclaredSource
from providers.files.layout import parse_layout
from providers.http import HttpEdge
from providers.types import (
    Adjustment,
    Anchor,
    BarQuery,
    Credentials,
    Hours,
    Page,
    Timeframe,
)

EARLY, LATE = datetime(1990, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
NO_EDGE: HttpEdge = None  # type: ignore[assignment]


def adapter_of(
    folder: Path, layout: Mapping[str, Any] | None = None, *, cache: FileCache | None = None
) -> Files:
    """Return an adapter of its own cache over a folder."""
    source = DeclaredSource("test", str(folder), parse_layout(layout or {}))
    return Files(source, cache=cache or FileCache())


def query_of(symbol: str, timeframe: str, **fields: Any) -> BarQuery:
    """Ask for everything of a series."""
    return BarQuery(
        symbol=symbol,
        vendor_symbol=symbol,
        venue="XNYS",
        timeframe=Timeframe(timeframe),
        adjustment=Adjustment(fields.get("adjustment", "raw")),
        hours=Hours(fields.get("hours", "regular")),
        anchor=Anchor(fields.get("anchor", "open")),
        start=fields.get("start", EARLY),
        end=fields.get("end", LATE),
    )


def fetch(adapter: Files, query: BarQuery, *, token: str | None = None) -> Page:
    """Fetch one page."""
    return adapter.fetch_page(
        query, token=token, credentials=Credentials(), base_url="", edge=NO_EDGE
    )


def bars_of(folder: Path, layout: Mapping[str, Any], symbol: str, timeframe: str) -> Bars:
    """Read all bars of a series."""
    return fetch(adapter_of(folder, layout), query_of(symbol, timeframe)).bars


def stamps_of(bars: Bars) -> list[str]:
    """Spell the stamps of bars in UTC."""
    return [
        datetime.fromtimestamp(stamp / 1e6, tz=UTC).strftime("%Y-%m-%d %H:%M")
        for stamp in bars.ts.tolist()
    ]
