"""The one bridge to the synthetic provider."""

from __future__ import annotations

from typing import Any

from providers.bars import Bars
from providers.registry import get_adapter
from providers.types import BarQuery, Credentials, Request


class NoEdge:
    """Stand where an HTTP edge is expected by a provider that needs none."""

    def send(self, request: Request, *, depart: object = None) -> Any:
        """Refuse."""
        raise TypeError(f"the synthetic provider must not ask {request.url}")


def synthetic_bars(query: BarQuery, at_most: int | None) -> Bars:
    """Return the synthetic bars of the query, or at least its first `at_most`."""
    adapter = get_adapter("synthetic")
    parts: list[Bars] = []
    token: str | None = None
    while True:
        page = adapter.fetch_page(
            query, token=token, credentials=Credentials(), base_url="", edge=NoEdge()
        )
        parts.append(page.bars)
        token = page.next_token
        enough = at_most is not None and sum(map(len, parts)) >= at_most
        if token is None or enough:
            return Bars.concat(parts)
