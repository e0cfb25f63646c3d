"""The polygon adapter against the contract and its own quirks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from providers.errors import UnsupportedRequest
from providers.types import Credentials, Hours
from tests.providers.contract import KEY, NetworkedContract, make_response


class TestPolygon(NetworkedContract):
    """Inherit the contract."""

    name = "polygon"

    def url(self, **fields: str) -> str:
        request = self.adapter.build_request(
            self.query(**fields), token=None, credentials=Credentials(), base_url="http://h"
        )
        return request.url.removeprefix("http://h/v2/aggs/ticker/")

    def test_days_are_asked_by_new_york_midnights(self) -> None:
        """Both ends are included there, so the last millisecond lies before the next date."""
        url = self.url(start="2024-03-08", end="2024-03-12")
        assert url == "ACME/range/1/day/1709874000000/1710215999999"

    def test_weeks_are_asked_from_sunday_to_saturday(self) -> None:
        """Whole weeks, of those whose Monday lies in the window."""
        url = self.url(timeframe="1w", start="2024-03-05", end="2024-03-12")
        assert url == "ACME/range/1/week/1710046800000/1710647999999"

    def test_minutes_are_asked_up_to_the_end(self) -> None:
        """The bar that starts at the end is not ours."""
        url = self.url(timeframe="5m", start="2024-03-08T14:30", end="2024-03-08T15:00")
        assert url == "ACME/range/5/minute/1709908200000/1709909999999"

    def test_a_start_within_a_bar_asks_from_the_next_one(self) -> None:
        """Polygon would send the bar that contains the start; 4h bars count from local midnight."""
        url = self.url(timeframe="5m", start="2024-03-08T14:31", end="2024-03-08T15:00")
        assert url == "ACME/range/5/minute/1709908500000/1709909999999"
        url = self.url(timeframe="4h", start="2024-03-08T14:00", end="2024-03-08T23:00")
        assert url == "ACME/range/4/hour/1709917200000/1709938799999"  # from noon in New York

    def test_next_pages_go_to_the_configured_host_with_the_key_in_a_header(self) -> None:
        """Wherever an answer points, the key goes to no other host."""
        query, response = self.good_payload()
        body = response.body.rstrip()[:-1] + (
            b', "next_url": "https://evil.example/v2/aggs/ticker/A/range/1/day/1/2?cursor=x%2By"}'
        )
        page = self.adapter.parse(query, make_response(200, body))
        request = self.adapter.build_request(
            query,
            token=page.next_token,
            credentials=Credentials(key=KEY),
            base_url="https://mine/p/",
        )
        assert request.url == "https://mine/p/v2/aggs/ticker/A/range/1/day/1/2"
        assert request.params == {"cursor": "x+y"}
        assert request.headers["Authorization"] == f"Bearer {KEY}"

    def test_adjustment_is_stated_in_the_request(self) -> None:
        """Raw unless asked otherwise; the provider's own default is never relied on."""
        for adjustment, stated in (("raw", "false"), ("split", "true")):
            request = self.adapter.build_request(
                self.query(adjustment=adjustment),
                token=None,
                credentials=Credentials(),
                base_url="http://h",
            )
            assert request.params == {"adjusted": stated, "sort": "asc", "limit": "50000"}

    def test_regular_hours_of_stocks_are_refused_where_bars_mix_them(self) -> None:
        """The 09:00 bar of a stock holds pre-market trades; crypto has no such thing."""
        query = replace(self.query(timeframe="1h"), hours=Hours.REGULAR)
        with pytest.raises(UnsupportedRequest, match="extended"):
            self.adapter.capability_for(query)
        assert self.adapter.capability_for(replace(query, vendor_symbol="X:BTCUSD"))

    def test_vwap_and_trade_counts_are_read(self) -> None:
        """Absent ones stay absent."""
        query, response = self.good_payload()
        bars = self.adapter.parse(query, response).bars
        assert bars.vwap.tolist() == [10.25, 10.75, 11.0]
        assert bars.trades.tolist() == [12, 13, 9]
