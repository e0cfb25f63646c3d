"""The yahoo adapter against the contract, its own quirks, and what yahoo really sent."""

from __future__ import annotations

import pytest

from providers.errors import ThrottledError
from providers.types import Credentials, Timeframe
from tests.providers.contract import NetworkedContract, make_response


class TestYahoo(NetworkedContract):
    """Inherit the contract."""

    name = "yahoo"

    def params(self, **fields: str) -> dict[str, str]:
        request = self.adapter.build_request(
            self.query(**fields), token=None, credentials=Credentials(), base_url=self.base_url
        )
        return dict(request.params)

    def test_daily_windows_begin_before_the_first_open_of_the_world(self) -> None:
        """Auckland opens on the evening before its date in UTC."""
        params = self.params(start="2024-03-01", end="2024-03-02")
        assert params["period1"] == "1709200800"  # 2024-02-29 10:00Z
        assert params["period2"] == "1709337600"  # 2024-03-02 00:00Z

    def test_weeks_and_months_are_asked_for_whole(self) -> None:
        """Yahoo cuts the last period short at period2, so it ends after the period."""
        weekly = self.params(timeframe="1w", start="2024-03-06", end="2024-03-20")
        assert int(weekly["period1"]) < 1709510400  # Monday the 4th
        assert int(weekly["period2"]) >= 1711324800  # Monday the 25th
        monthly = self.params(timeframe="1mo", start="2024-01-01", end="2024-02-01")
        assert int(monthly["period1"]) < 1704067200
        assert int(monthly["period2"]) >= 1706745600

    def test_intraday_windows_leave_out_the_bar_at_the_end(self) -> None:
        """The second before the end is right whether period2 is inclusive or not."""
        params = self.params(
            timeframe="5m", start="2024-03-08T14:30", end="2024-03-08T21:00", hours="extended"
        )
        assert params == {
            "period1": "1709908200",
            "period2": "1709931599",
            "interval": "5m",
            "includePrePost": "true",
        }

    def test_symbols_are_percent_encoded(self) -> None:
        """Indices and futures have signs that a path cannot hold."""
        request = self.adapter.build_request(
            self.query(vendor_symbol="^GSPC"),
            token=None,
            credentials=Credentials(),
            base_url="http://127.0.0.1:1/",
        )
        assert request.url == "http://127.0.0.1:1/v8/finance/chart/%5EGSPC"

    def test_999_is_a_throttle(self) -> None:
        """Yahoo's own status asks for patience, it does not judge the request."""
        with pytest.raises(ThrottledError):
            self.adapter.parse(self.query(), make_response(999, b"Request denied"))

    def test_limits_follow_the_interval(self) -> None:
        """A week of minutes fits into one request, and no more."""
        capability = self.adapter.capabilities.timeframes[Timeframe.M1]
        assert capability.max_span is not None
        assert capability.max_span.days == 7
        assert (
            self.adapter.count_requests(
                self.query(timeframe="1m", start="2024-03-01", end="2024-03-15")
            )
            == 2
        )
