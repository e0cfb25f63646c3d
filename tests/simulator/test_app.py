"""The simulator without its server: habits that can be chosen, and requests of every kind."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.simulator.app import SimulatorApp
from providers.simulator.bridge import synthetic_bars
from providers.simulator.config import parse_config
from providers.simulator.wire import Deferred, Incoming, Reply
from tests.simulator.conftest import seconds

NOW = "2013-03-02T12:00:00Z"
HEADERS = {"authorization": "Bearer any"}


def answer(app, target):
    """Return status and decoded body."""
    reply = app.handle(Incoming("GET", target, HEADERS), arrival=0)
    if isinstance(reply, Deferred):
        reply = reply.finish(reply.work())
    assert isinstance(reply, Reply)
    return reply.status, msgspec.json.decode(b"".join(reply.body))


def app_with(**config):
    return SimulatorApp(parse_config({"now": NOW, **config}), synthetic=synthetic_bars)


def chart(symbol, start, end, interval="1d"):
    window = f"period1={seconds(start)}&period2={seconds(end)}"
    return f"/v8/finance/chart/{symbol}?{window}&interval={interval}"


def test_single_precision_noise():
    """With float32 every price is a single-precision number, as the real one sends them."""
    _, document = answer(
        app_with(yahoo={"float32": True}), chart("AAPL", "2012-03-01", "2012-03-02")
    )
    (close,) = document["chart"]["result"][0]["indicators"]["quote"][0]["close"]
    assert close != 544.47
    assert close == struct.unpack("f", struct.pack("f", 544.47))[0]


def test_a_rounded_start():
    """With round_start the day in which period1 lies is served from its beginning."""
    target = chart("AAPL", "2012-03-01T20:00", "2012-03-02T20:00")
    counts = []
    for rounded in (False, True):
        _, document = answer(app_with(yahoo={"round_start": rounded}), target)
        counts.append(len(document["chart"]["result"][0]["timestamp"]))
    assert counts == [1, 2]


def test_the_reach_of_short_intervals_is_enforced():
    """Minutes reach back 30 days and span eight, unless that is switched off."""
    old, wide = (
        chart("S", "2012-03-01", "2012-03-02", "1m"),
        chart("S", "2013-02-10", "2013-02-20", "1m"),
    )
    strict, lenient = app_with(), app_with(yahoo={"enforce_reach": False})
    for target, reason in ((old, "within the last 30 days"), (wide, "Only 8 days")):
        status, document = answer(strict, target)
        assert status == 422
        assert reason in document["chart"]["error"]["description"]
        assert answer(lenient, target)[0] == 200


def test_delayed_plans_say_so():
    """The status of a delayed plan is DELAYED."""
    _, document = answer(
        app_with(polygon={"delayed": True}),
        "/v2/aggs/ticker/IBM/range/1/day/2012-03-01/2012-03-02",
    )
    assert document["status"] == "DELAYED"


def test_without_recordings_all_symbols_are_synthetic():
    """With recorded off AAPL has a synthetic history that begins before the recorded one."""
    _, document = answer(app_with(recorded=False), chart("AAPL", "1995-03-01", "1995-03-08"))
    assert len(document["chart"]["result"][0]["timestamp"]) == 5


def test_limit_counts_base_rows():
    """An hour costs 60 of `limit`, so 120 hold two hours and a next page follows."""
    _, document = answer(
        app_with(), "/v2/aggs/ticker/ZZT/range/1/hour/2012-03-01/2012-03-02?limit=120"
    )
    assert (document["resultsCount"], document["queryCount"]) == (2, 120)
    assert "next_url" in document


def test_rows_withheld_from_a_page_do_not_end_the_paging():
    """A page that lost all of its rows to a fault still leads to the next one."""
    app = app_with(faults=[{"kind": "withhold", "dates": ["2012-03-01", "2012-03-02"]}])
    _, document = answer(app, "/v2/aggs/ticker/IBM/range/1/day/2012-03-01/2012-03-30?limit=2")
    assert document["resultsCount"] == 0
    assert f"/range/1/day/{seconds('2012-03-05T05:00') * 1000}/" in document["next_url"]


def test_the_real_clock_is_the_default():
    """Without a fixed time the newest session lies within the last week."""
    app = SimulatorApp(parse_config({}), synthetic=synthetic_bars)
    today = datetime.now(UTC).timestamp()
    _, document = answer(
        app, f"/v8/finance/chart/S?period1={int(today) - 864_000}&period2={int(today) + 864_000}"
    )
    newest = document["chart"]["result"][0]["timestamp"][-1]
    assert today - 7 * 86_400 < newest <= today


SYMBOLS = ["AAPL", "FB", "X:BTCUSD", "C:EURUSD", "BTC-USD", "", "%00", "%5EDJI", "a/b", ".."]
NUMBERS = ["0", "-1", "1e5", "99999999999", "-99999999999", "9" * 21, "1363000000", "", "x"]
DATES = [
    "2012-01-01",
    "0001-01-01",
    "9999-12-31",
    "2012-02-30",
    "1330000000000",
    "-5",
    "0",
    "9" * 20,
]


@settings(max_examples=150, deadline=None)
@given(
    st.builds(
        "/v8/finance/chart/{}?period1={}&period2={}&interval={}".format,
        st.sampled_from(SYMBOLS),
        st.sampled_from(NUMBERS),
        st.sampled_from(NUMBERS),
        st.sampled_from(["1d", "1wk", "1mo", "1h", "1m", "90m", "", "%"]),
    )
    | st.builds(
        "/v2/aggs/ticker/{}/range/{}/{}/{}/{}?limit={}".format,
        st.sampled_from(SYMBOLS),
        st.sampled_from(["0", "1", "5", "9" * 20]),
        st.sampled_from(["minute", "hour", "day", "week", "month", "x"]),
        st.sampled_from(DATES),
        st.sampled_from(DATES),
        st.sampled_from(["1", "50", "0", "-3", "x"]),
    )
)
def test_whatever_is_asked_has_an_answer(target):
    """Every request, however odd, gets JSON with a status below 500."""
    status, document = answer(ODD_APP, target)
    assert status in (200, 400, 404, 422)
    assert document


ODD_APP = app_with()
