"""The synthetic provider: the same bars for everybody, where the venue trades, in exact pages."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.domain.expectation import expect
from ingestion.domain.windows import Window
from providers.bars import Bars
from providers.errors import UnsupportedRequest
from providers.instants import floor_dates, from_us, to_us
from providers.registry import get_adapter
from providers.synthesis import ANNUAL_VOLATILITY, SESSIONS_PER_YEAR
from providers.types import Anchor, BarQuery, Credentials, Page, Request, Response, Timeframe
from providers.venues import UnknownVenue, load_sessions
from tests.providers.contract import AdapterContract, make_query

DAY_US = 86_400_000_000
VENUES = ("XNYS", "XHKG", "24/7", "CMES", "XASX")
SYNTHETIC = get_adapter("synthetic")


class NoNetwork:
    """Fail the test if anything is sent."""

    def send(self, request: Request) -> Response:
        """Refuse."""
        raise AssertionError(f"synthetic sent {request}")


def pages_of(query: BarQuery) -> list[Page]:
    """Fetch every page of a query."""
    pages: list[Page] = []
    token: str | None = None
    while not pages or token is not None:
        pages.append(
            SYNTHETIC.fetch_page(
                query, token=token, credentials=Credentials(), base_url="", edge=NoNetwork()
            )
        )
        token = pages[-1].next_token
    return pages


def bars_of(**fields: Any) -> Bars:
    """Fetch all bars of a query given by its fields."""
    return Bars.concat([page.bars for page in pages_of(make_query(**fields))])


def assert_same(left: Bars, right: Bars) -> None:
    """Compare every column bit by bit."""
    for name in Bars.__slots__:
        assert getattr(left, name).tobytes() == getattr(right, name).tobytes(), name


def aggregate(bars: Bars, groups: np.ndarray[Any, Any]) -> dict[str, list[float]]:
    """Join bars of equal group into the values of longer bars."""
    edges = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    return {
        "open": bars.open[edges].tolist(),
        "high": np.maximum.reduceat(bars.high, edges).tolist(),
        "low": np.minimum.reduceat(bars.low, edges).tolist(),
        "close": bars.close[np.append(edges[1:], len(bars)) - 1].tolist(),
        "volume": np.add.reduceat(bars.volume, edges).tolist(),
    }


def values(bars: Bars) -> dict[str, list[float]]:
    """Return the columns that `aggregate` returns."""
    return {n: getattr(bars, n).tolist() for n in ("open", "high", "low", "close", "volume")}


class TestSynthetic(AdapterContract):
    """Inherit what holds for every adapter."""

    name = "synthetic"

    def test_there_is_nothing_to_send_or_to_read(self) -> None:
        """Asking for a request says which call answers."""
        with pytest.raises(UnsupportedRequest, match="fetch_page"):
            self.adapter.build_request(
                self.query(), token=None, credentials=Credentials(), base_url=""
            )


windows = st.tuples(
    st.integers(0, 30 * 365 * 24 * 60), st.integers(1, 60 * 24 * 60), st.sampled_from(VENUES)
)


@settings(max_examples=60, deadline=None)
@given(windows=windows, timeframe=st.sampled_from(Timeframe), anchor=st.sampled_from(Anchor))
def test_bars_stand_exactly_where_they_are_expected(
    windows: tuple[int, int, str], timeframe: Timeframe, anchor: Anchor
) -> None:
    """Every expected stamp has a bar and no other has, in any window of any venue."""
    offset, length, venue = windows
    start = datetime(1998, 1, 1, tzinfo=UTC) + timedelta(minutes=offset)
    end = start + timedelta(minutes=length)
    if venue == "CMES" and timeframe is Timeframe.H4:
        anchor = Anchor.OPEN
    query = replace(
        make_query(venue=venue, timeframe=timeframe.value), anchor=anchor, start=start, end=end
    )
    pages = pages_of(query)
    stamps = np.concatenate([page.bars.ts for page in pages])
    expected = expect(
        load_sessions(venue), timeframe=timeframe, hours=query.hours, anchor=anchor
    ).expected_stamps(Window(start, end))
    assert stamps.tolist() == expected.tolist()
    assert len(pages) == SYNTHETIC.count_requests(query)


def test_a_bar_does_not_depend_on_the_window() -> None:
    """Windows that overlap agree bit by bit, at every length of bar."""
    for timeframe in ("1m", "30m", "1h", "4h", "1d", "1w", "1mo"):
        wide = bars_of(timeframe=timeframe, start="2023-11-02T15:31", end="2024-08-09")
        narrow = bars_of(timeframe=timeframe, start="2024-01-10T16:07", end="2024-07-30T18:44")
        inside = (wide.ts >= to_us(datetime(2024, 1, 10, 16, 7, tzinfo=UTC))) & (
            wide.ts < to_us(datetime(2024, 7, 30, 18, 44, tzinfo=UTC))
        )
        assert len(narrow) > 5
        assert_same(wide.take(inside), narrow)


def test_a_bar_does_not_depend_on_the_process() -> None:
    """Another interpreter with another hash seed computes the same bytes."""
    script = (
        "from tests.providers.test_synthetic import *;"
        "print(pages_of(make_query(timeframe='5m'))[0].payload_sha)"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert digests == {pages_of(make_query(timeframe="5m"))[0].payload_sha + "\n"}


def test_pages_are_full_and_lead_to_each_other() -> None:
    """Tokens, resume_from and the page size agree; the last page has no successor."""
    pages = pages_of(make_query(timeframe="1m", start="2024-01-01", end="2024-05-01"))
    assert [len(page.bars) for page in pages[:-1]] == [10_000] * (len(pages) - 1)
    assert len(pages) == 4
    for page, following in pairwise(pages):
        assert page.resume_from == from_us(int(following.bars.ts[0]))
    assert pages[-1].resume_from is None


def test_a_full_last_page_has_no_successor() -> None:
    """A window of exactly one page takes one request."""
    query = make_query(timeframe="1m", venue="24/7", start="2024-01-01", end="2024-01-07T22:40")
    assert SYNTHETIC.count_requests(query) == 1
    assert [len(page.bars) for page in pages_of(query)] == [10_000]
    longer = replace(query, end=query.end + timedelta(minutes=1))
    assert SYNTHETIC.count_requests(longer) == 2
    assert [len(page.bars) for page in pages_of(longer)] == [10_000, 1]


def test_an_empty_window_takes_one_request() -> None:
    """A weekend has no bars and no second page."""
    query = make_query(timeframe="1m", start="2024-03-09", end="2024-03-11")
    assert [len(page.bars) for page in pages_of(query)] == [0]
    assert SYNTHETIC.count_requests(query) == 1


@pytest.mark.parametrize("venue", ["XNYS", "XHKG", "24/7"])
def test_longer_bars_are_made_of_shorter_ones(venue: str) -> None:
    """Hours and days hold their minutes, weeks and months their days, to the tick."""
    window = {"venue": venue, "start": "2024-05-27", "end": "2024-07-15"}
    minutes = bars_of(timeframe="1m", **window)
    sessions = load_sessions(venue)
    row = np.searchsorted(sessions.opens, minutes.ts, side="right") - 1
    days = bars_of(timeframe="1d", **window)
    assert aggregate(minutes, sessions.labels[row]) == values(days)
    for timeframe in (Timeframe.M5, Timeframe.H1, Timeframe.H4):
        longer = bars_of(timeframe=timeframe.value, **window)
        groups = longer.ts[np.searchsorted(longer.ts, minutes.ts, side="right") - 1]
        assert aggregate(minutes, groups) == values(longer)
    whole = {"venue": venue, "start": "2023-01-01", "end": "2024-01-01"}
    days = bars_of(timeframe="1d", **whole)
    months = bars_of(timeframe="1mo", **whole)
    assert aggregate(days, floor_dates(days.ts, Timeframe.MO1)) == values(months)
    weeks = bars_of(timeframe="1w", **whole | {"start": "2023-01-02"})
    days = bars_of(timeframe="1d", **whole | {"start": "2023-01-02"})
    assert aggregate(days, floor_dates(days.ts, Timeframe.W1)) == values(weeks)


def test_values_are_possible() -> None:
    """Prices are positive ticks in order, volumes whole units."""
    for timeframe in ("1m", "1d"):
        bars = bars_of(timeframe=timeframe, start="2024-01-01", end="2024-12-31")
        assert (bars.low > 0).all()
        assert (bars.low <= np.minimum(bars.open, bars.close)).all()
        assert (bars.high >= np.maximum(bars.open, bars.close)).all()
        assert (bars.volume >= 0).all()
        assert (bars.volume == np.rint(bars.volume)).all()
        assert np.allclose(bars.close * 100, np.rint(bars.close * 100), rtol=0, atol=1e-6)


def test_volatility_is_as_stated() -> None:
    """Thirty years of daily returns have the stated annual volatility within a twentieth."""
    for symbol in ("ACME", "OTHER", "BTC"):
        closes = bars_of(symbol=symbol, start="1992-01-01", end="2022-01-01").close
        annual = np.diff(np.log(closes)).std() * SESSIONS_PER_YEAR**0.5
        assert abs(annual / ANNUAL_VOLATILITY - 1) < 0.05


def test_minute_volumes_are_u_shaped() -> None:
    """Both ends of the session trade far more than its middle."""
    bars = bars_of(timeframe="1m", start="2024-02-01", end="2024-03-01")
    volumes = bars.volume.reshape(-1, 390).mean(axis=0)
    middle = volumes[180:210].mean()
    assert volumes[:15].mean() > 3 * middle
    assert volumes[-15:].mean() > 3 * middle


def test_half_days_holidays_and_breaks_are_kept() -> None:
    """3 July 2024 closed at 13:00, the 4th was closed, Hong Kong has lunch."""
    bars = bars_of(timeframe="1m", start="2024-07-03", end="2024-07-06")
    counts = np.unique(bars.ts // DAY_US, return_counts=True)[1].tolist()
    assert counts == [210, 390]
    hong_kong = bars_of(timeframe="1m", venue="XHKG", start="2024-07-03", end="2024-07-04")
    minute_of_day = hong_kong.ts % DAY_US // 60_000_000
    assert len(hong_kong) == 330
    assert not ((minute_of_day >= 4 * 60) & (minute_of_day < 5 * 60)).any()


def test_symbols_differ() -> None:
    """Each symbol walks its own way."""
    assert bars_of(symbol="A").close.tolist() != bars_of(symbol="B").close.tolist()


def test_bars_across_sessions_are_refused() -> None:
    """Four hours by the clock hold the end of one day of foreign exchange and the next's start."""
    with pytest.raises(UnsupportedRequest, match="anchor open"):
        bars_of(venue="FX", timeframe="4h", anchor="clock")


def test_an_unknown_venue_is_named() -> None:
    """Nothing is invented for a venue without a calendar."""
    with pytest.raises(UnknownVenue, match="XXXX"):
        bars_of(venue="XXXX")
