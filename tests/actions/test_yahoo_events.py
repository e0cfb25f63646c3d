"""Splits and dividends as yahoo sends them, and as they were on their own day."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest

from providers.errors import PayloadError
from providers.http import HttpEdge
from providers.instruments import ActionKind, CorporateAction
from providers.registry import get_adapter
from providers.simulator.actions import recorded_actions
from providers.simulator.process import Simulator
from providers.types import Adjustment, Anchor, BarQuery, Credentials, Hours, Page, Timeframe
from tests.providers.contract import make_response

NEW_YORK = ZoneInfo("America/New_York")


def query(
    start: str, end: str, *, symbol: str = "ACME", timeframe: Timeframe = Timeframe.D1
) -> BarQuery:
    return BarQuery(
        symbol=symbol,
        vendor_symbol=symbol,
        venue="XNYS",
        timeframe=timeframe,
        adjustment=Adjustment.SPLIT,
        hours=Hours.REGULAR,
        anchor=Anchor.OPEN,
        start=datetime.fromisoformat(start).replace(tzinfo=UTC),
        end=datetime.fromisoformat(end).replace(tzinfo=UTC),
    )


def opened(day: str) -> int:
    return int(datetime.fromisoformat(f"{day}T09:30").replace(tzinfo=NEW_YORK).timestamp())


def chart(*, today: str, interval: str, dividends: dict[str, float], splits: dict[str, str]):
    """Return a chart without rows; keys are of no use, so they are made up."""
    ratios = {day: [float(part) for part in ratio.split(":")] for day, ratio in splits.items()}
    result = {
        "meta": {
            "currency": "USD",
            "exchangeTimezoneName": "America/New_York",
            "regularMarketTime": opened(today),
            "dataGranularity": interval,
        },
        "events": {
            "dividends": {
                f"k{day}": {"amount": amount, "date": opened(day)}
                for day, amount in dividends.items()
            },
            "splits": {
                f"k{day}": {
                    "date": opened(day),
                    "numerator": new,
                    "denominator": old,
                    "splitRatio": f"{new}:{old}",
                }
                for day, (new, old) in ratios.items()
            },
        },
        "indicators": {"quote": [{}]},
    }
    return make_response(200, orjson.dumps({"chart": {"result": [result], "error": None}}))


def dividend(day: str, amount: float) -> CorporateAction:
    return CorporateAction(date.fromisoformat(day), ActionKind.DIVIDEND, amount, "USD")


def split(day: str, ratio: float) -> CorporateAction:
    return CorporateAction(date.fromisoformat(day), ActionKind.SPLIT, ratio)


def test_dividends_are_given_in_the_shares_of_their_own_day() -> None:
    """The window reaches to the present, so every later split is in the answer.

    What yahoo rounded to six decimals is the roundest amount that prints so.
    """
    answer = chart(
        today="2020-11-20",
        interval="1d",
        dividends={
            "1987-05-11": 0.000536,
            "2013-02-07": 0.094643,
            "2014-05-08": 0.1175,
            "2014-08-07": 0.1175,
            "2020-11-06": 0.205,
        },
        splits={
            "1987-06-16": "2:1",
            "2000-06-21": "2:1",
            "2005-02-28": "2:1",
            "2014-06-09": "7:1",
            "2020-08-31": "4:1",
        },
    )
    page = get_adapter("yahoo").parse(query("1987-01-01", "2020-11-21"), answer)
    assert page.next_token is None
    assert {one for one in page.actions if one.ex_date.year != 1987} == {
        split("2000-06-21", 2),
        split("2005-02-28", 2),
        dividend("2013-02-07", 2.65),
        dividend("2014-05-08", 3.29),
        dividend("2014-08-07", 0.47),
        dividend("2020-11-06", 0.205),
        split("2014-06-09", 7),
        split("2020-08-31", 4),
    }
    assert dividend("1987-05-11", 0.12) in page.actions, "six decimals hide what was declared"


def test_a_window_in_the_past_asks_for_the_splits_after_it() -> None:
    """The first page knows nothing of 2020; the second one states the dividend, undone by both."""
    adapter, asked = get_adapter("yahoo"), query("2014-01-01", "2014-07-01")
    first = adapter.parse(
        asked,
        chart(
            today="2020-11-20",
            interval="1d",
            dividends={"2014-05-08": 0.1175},
            splits={"2014-06-09": "7:1"},
        ),
    )
    assert first.actions == (split("2014-06-09", 7),)
    assert first.next_token is not None
    request = adapter.build_request(
        asked, token=first.next_token, credentials=Credentials(), base_url="http://localhost"
    )
    assert (request.params["interval"], request.params["period2"]) == ("3mo", "9999999999")
    second = adapter.parse_page(
        asked,
        chart(
            today="2020-11-20",
            interval="3mo",
            dividends={},
            splits={"2014-06-09": "7:1", "2020-08-31": "4:1"},
        ),
        token=first.next_token,
    )
    assert second.actions == (dividend("2014-05-08", 3.29),)
    assert (len(second.bars), second.next_token) == (0, None)


def test_longer_bars_than_asked_for_are_no_second_page() -> None:
    """What nobody asked for is an error; taken for a page of events it would prove absences."""
    answer = chart(today="2020-11-20", interval="3mo", dividends={}, splits={})
    with pytest.raises(PayloadError, match="3mo bars where 1d was asked"):
        get_adapter("yahoo").parse_page(query("2014-01-01", "2014-07-01"), answer, token=None)


def test_a_reverse_split_and_a_split_of_the_dividends_own_day() -> None:
    """A dividend is already in the shares of a split that takes effect on its ex-date."""
    answer = chart(
        today="2021-03-01",
        interval="1d",
        dividends={"2020-06-01": 5.0, "2020-05-01": 5.0},
        splits={"2020-06-01": "1:10"},
    )
    page = get_adapter("yahoo").parse(query("2020-01-01", "2021-03-02"), answer)
    assert set(page.actions) == {
        split("2020-06-01", 0.1),
        dividend("2020-06-01", 5.0),
        dividend("2020-05-01", 0.5),
    }


def test_the_recorded_chart_of_apple_undoes_its_split() -> None:
    """0.1925 of 2019 and 2020 were 0.77 and 0.205 of August 2020 was 0.82."""
    root = os.environ.get("MDC_RECORDED_DIR")
    if not root:
        pytest.skip("MDC_RECORDED_DIR is not set")
    path = Path(root, "http/yahoo/historical_bars__v8_finance_chart_AAPL__1wk__200.json")
    body = orjson.loads(path.read_bytes())["response"]["body"]
    raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
    asked = query("2020-01-06", "2099-01-05", symbol="AAPL", timeframe=Timeframe.W1)
    page = get_adapter("yahoo").parse(asked, make_response(200, raw))
    assert split("2020-08-31", 4) in page.actions
    assert dividend("2020-02-07", 0.77) in page.actions
    assert dividend("2020-08-07", 0.82) in page.actions


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    config = {"now": "2013-03-02T12:00:00Z", "yahoo": {"enforce_reach": False}}
    with Simulator(config) as running:
        yield running


def fetch(simulator: Simulator, asked: BarQuery) -> list[Page]:
    edge = HttpEdge(
        connect_timeout=5,
        read_timeout=5,
        total_deadline=10,
        max_bytes=64_000_000,
        byte_budget=None,
        provider="yahoo",
        user_agent="test",
    )
    pages: list[Page] = []
    token: str | None = None
    while not pages or token:
        pages.append(
            get_adapter("yahoo").fetch_page(
                asked,
                token=token,
                credentials=Credentials(),
                base_url=simulator.base_url,
                edge=edge,
            )
        )
        token = pages[-1].next_token
    return pages


@pytest.mark.parametrize("timeframe", [Timeframe.D1, Timeframe.W1, Timeframe.MO1])
@pytest.mark.parametrize("end", ["2013-03-04", "2012-10-01"])
def test_the_simulators_events_arrive_as_declared(
    simulator: Simulator, timeframe: Timeframe, end: str
) -> None:
    """Whole history in one page, a window in the past in two; the dividends are the same."""
    start = "2000-03-06" if timeframe is Timeframe.W1 else "2000-03-01"
    pages = fetch(simulator, query(start, end, symbol="MSFT", timeframe=timeframe))
    stated = [one for page in pages for one in page.actions]
    expected = [one for one in recorded_actions("MSFT") if one.ex_date.isoformat() < end]
    assert sorted(stated, key=lambda one: (one.ex_date, one.kind)) == expected
    assert len(pages) == (1 if end > "2013-03-01" else 2)
