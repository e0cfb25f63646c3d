"""Polygon's /v3/reference/tickers/{ticker}, beside its aggregates and within the same limit."""

from __future__ import annotations

import orjson

from providers.bars import Bars
from providers.sessions import DAY_US
from providers.simulator.listings import polygon_ticker
from providers.simulator.market import Market
from providers.simulator.polygon import Polygon
from providers.simulator.wire import Ask, Fetched, Incoming, Refused, Rendered, Reply
from providers.types import Timeframe


class PolygonTickers(Polygon):
    """Say what a ticker is; keys and errors are those of the aggregates."""

    prefix = "/v3/reference/tickers/"

    def read(self, incoming: Incoming, *, now: int) -> Ask:
        """Understand the path."""
        return Ask(
            provider=self.name,
            symbol=incoming.path.removeprefix(self.prefix),
            timeframe=Timeframe.D1,
            start=now - DAY_US,
            end=now,
            path=incoming.path,
            key=incoming.path,
        )

    def fetch(self, market: Market, ask: Ask, *, now: int) -> Fetched:
        """Return nothing but that the ticker exists."""
        del now
        if not market.knows(ask.symbol):
            document = {
                "status": "NOT_FOUND",
                "request_id": self._request_id(),
                "message": "Ticker not found.",
            }
            raise Refused(Reply(404, (orjson.dumps(document),)))
        return Fetched(Bars.empty())

    def render(self, market: Market, ask: Ask, page: Fetched, *, now: int) -> Rendered:
        """Encode the facts."""
        del market, page, now
        return Rendered(orjson.dumps(polygon_ticker(ask.symbol)), 0)

    def finish(self, ask: Ask, rendered: Rendered, *, base_url: str) -> Reply:
        """Add status and request id."""
        del ask, base_url
        head = f'{{"request_id":"{self._request_id()}","results":'.encode()
        return Reply(200, (head, rendered.body, b',"status":"OK"}'))
