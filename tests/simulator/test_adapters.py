"""The adapters read what the simulator writes: every bar arrives as the source has it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from providers.errors import AuthError, NoData, ThrottledError, TransientError, UnknownSymbol
from providers.http import HttpEdge
from providers.instants import from_us, to_us
from providers.registry import get_adapter
from providers.simulator.process import Simulator
from providers.simulator.recorded import load_recordings
from providers.types import Adjustment, BarQuery, Credentials, Hours, Timeframe
from providers.venues import load_sessions
from tests.simulator.conftest import KEY, Client

PRICES = ("open", "high", "low", "close", "volume")


def edge_to(provider):
    """Return the edge that fetches for a provider in production, with short deadlines."""
    return HttpEdge(
        connect_timeout=5,
        read_timeout=5,
        total_deadline=10,
        max_bytes=64_000_000,
        byte_budget=None,
        provider=provider,
        user_agent="test",
    )


def ask(provider, symbol, timeframe, start, end):
    adapter = get_adapter(provider)
    capability = adapter.capabilities.timeframes[timeframe]
    return adapter, BarQuery(
        symbol=symbol,
        vendor_symbol=symbol,
        venue="XNYS",
        timeframe=timeframe,
        adjustment=capability.adjustment,
        hours=Hours.REGULAR,
        anchor=capability.anchor,
        start=datetime.fromisoformat(start).replace(tzinfo=UTC),
        end=datetime.fromisoformat(end).replace(tzinfo=UTC),
    )


def fetch(client, provider, symbol, timeframe, start, end, key=KEY):
    """Return the pages of a query."""
    adapter, query = ask(provider, symbol, timeframe, start, end)
    pages, token = [], None
    while True:
        page = adapter.fetch_page(
            query,
            token=token,
            credentials=Credentials(key=key),
            base_url=client.base_url,
            edge=edge_to(provider),
        )
        pages.append(page)
        token = page.next_token
        if token is None:
            return pages


@pytest.mark.parametrize("provider", ["yahoo", "polygon"])
@pytest.mark.parametrize("symbol", ["AAPL", "FB", "GOOG", "IBM", "MSFT"])
def test_the_whole_history_arrives_exactly(client, provider, symbol):
    """Stamps and figures of every recorded day survive the wire, to the last bit."""
    source = load_recordings()[symbol].bars
    (page,) = fetch(client, provider, symbol, Timeframe.D1, "2000-01-01", "2013-03-02")
    assert np.array_equal(page.bars.ts, source.ts)
    for name in PRICES:
        assert np.array_equal(getattr(page.bars, name), getattr(source, name)), name
    assert page.bars.final.all()


@pytest.mark.parametrize("provider", ["yahoo", "polygon"])
@pytest.mark.parametrize("timeframe", [Timeframe.D1, Timeframe.W1, Timeframe.MO1])
def test_adjoining_windows_make_one_whole(client, provider, timeframe):
    """Windows that touch deliver each bar exactly once."""
    edges = ["2011-12-30", "2012-03-12", "2012-06-04", "2012-11-05", "2013-01-07"]
    parts = [
        fetch(client, provider, "IBM", timeframe, start, end)[0].bars.ts
        for start, end in itertools.pairwise(edges)
    ]
    # A window that ends in the past may need a second page, of dividends and no bars.
    whole, *_ = fetch(client, provider, "IBM", timeframe, edges[0], edges[-1])
    assert np.array_equal(np.concatenate(parts), whole.bars.ts)


@pytest.mark.parametrize("provider", ["yahoo", "polygon"])
@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.M30])
def test_intraday_bars_are_the_synthetic_ones(client, provider, timeframe):
    """A half day and the switch to daylight time arrive as the synthetic provider has them."""
    for start, end in (("2012-11-22", "2012-11-27"), ("2012-03-09", "2012-03-13")):
        adapter, query = ask("synthetic", "ZZT", timeframe, start, end)
        expected = adapter.fetch_page(
            query, token=None, credentials=Credentials(), base_url="", edge=edge_to(provider)
        ).bars
        (page,) = fetch(client, provider, "ZZT", timeframe, start, end)
        assert np.array_equal(page.bars.ts, expected.ts)
        for name in PRICES:
            assert np.array_equal(getattr(page.bars, name), getattr(expected, name)), name


def test_polygon_pages_join(client):
    """Minutes beyond one page arrive over several, in order and without repeats."""
    pages = fetch(client, "polygon", "ZZT", Timeframe.M1, "2011-01-01", "2012-01-01")
    stamps = np.concatenate([page.bars.ts for page in pages])
    assert len(pages) == 2
    assert len(stamps) == 98_100
    assert (np.diff(stamps) > 0).all()
    assert pages[0].resume_from <= from_us(int(stamps[len(pages[0].bars)]))


@pytest.mark.parametrize("timeframe", [Timeframe.D1, Timeframe.M30])
def test_the_forming_bar_is_not_final(client, simulator, timeframe):
    """In mid-session the last bar from yahoo is marked as still moving."""
    simulator.control.set_now(datetime(2013, 3, 1, 16, 10, tzinfo=UTC))
    (page,) = fetch(client, "yahoo", "ZZT", timeframe, "2013-02-28", "2013-03-02")
    assert page.bars.final[:-1].all()
    assert not page.bars.final[-1]
    expected = datetime(2013, 3, 1, tzinfo=UTC)
    if timeframe is Timeframe.M30:
        expected = expected.replace(hour=16)
    assert page.bars.ts[-1] == to_us(expected)


@pytest.mark.parametrize("provider", ["yahoo", "polygon"])
def test_faults_become_typed_errors(client, simulator, provider):
    """A 429 with Retry-After, a 503 and half a document each raise what they mean."""
    window = ("IBM", Timeframe.D1, "2012-03-01", "2012-04-01")
    simulator.control.arm({"kind": "status", "status": 429, "retry_after": 3, "times": 1})
    with pytest.raises(ThrottledError) as throttled:
        fetch(client, provider, *window)
    assert throttled.value.retry_after == 3
    simulator.control.arm({"kind": "status", "status": 503, "times": 1})
    with pytest.raises(TransientError):
        fetch(client, provider, *window)
    simulator.control.arm({"kind": "truncate", "times": 1})
    with pytest.raises(TransientError):
        fetch(client, provider, *window)


def test_refusals_become_typed_errors(client):
    """A wrong key, an unknown symbol and a window before the listing are told apart."""
    with pytest.raises(AuthError):
        fetch(client, "polygon", "IBM", Timeframe.D1, "2012-01-01", "2012-02-01", key="wrong")
    with pytest.raises(UnknownSymbol):
        fetch(client, "yahoo", "NOPE1", Timeframe.D1, "2012-01-01", "2012-02-01")
    with pytest.raises(NoData):
        fetch(client, "yahoo", "FB", Timeframe.D1, "2011-01-01", "2011-02-01")


def test_the_declared_basis_is_the_adapters_own():
    """The simulator serves figures as found; what they are called is the adapter's statement."""
    declared = {
        provider: get_adapter(provider).capabilities.timeframes[Timeframe.D1].adjustment
        for provider in ("yahoo", "polygon")
    }
    assert declared == {"yahoo": Adjustment.SPLIT, "polygon": Adjustment.RAW}


@pytest.fixture(scope="module")
def world():
    """Run a simulator with symbols of several venues."""
    venues = {"*.L": "XLON", "*=F": "CMES"}
    with Simulator({"now": "2024-12-01T00:00:00Z", "venues": venues}) as simulator:
        client = Client(simulator.base_url)
        yield client
        client.session.close()


@pytest.mark.parametrize(
    ("provider", "symbol", "venue"),
    [
        ("yahoo", "BTC-USD", "24/7"),
        ("yahoo", "EURUSD=X", "FX"),
        ("yahoo", "ES=F", "CMES"),
        ("yahoo", "VOD.L", "XLON"),
        ("polygon", "X:BTCUSD", "24/7"),
        ("polygon", "C:EURUSD", "FX"),
    ],
)
def test_other_venues_keep_their_session_dates(world, provider, symbol, venue):
    """Days of crypto, currencies, futures and London carry the dates of their sessions."""
    adapter, query = ask(provider, symbol, Timeframe.D1, "2024-03-01", "2024-11-10")
    page = adapter.fetch_page(
        replace(query, venue=venue),
        token=None,
        credentials=Credentials(key=KEY),
        base_url=world.base_url,
        edge=edge_to(provider),
    )
    expected = load_sessions(venue).between(to_us(query.start), to_us(query.end)).labels
    assert np.array_equal(page.bars.ts, expected)
