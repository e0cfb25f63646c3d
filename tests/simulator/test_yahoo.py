"""The simulated yahoo answers as recordings of the real one do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.simulator.conftest import seconds


def rows(response):
    """Return (stamp, close) pairs of an answer."""
    result = response.json()["chart"]["result"][0]
    return list(zip(result["timestamp"], result["indicators"]["quote"][0]["close"], strict=True))


def test_daily_stamps_are_session_opens_in_winter_and_summer(client):
    """A daily row is stamped 14:30Z under standard time and 13:30Z under daylight time."""
    found = rows(client.yahoo("AAPL", "2012-03-09", "2012-03-13"))
    assert [stamp for stamp, _ in found] == [
        seconds("2012-03-09T14:30"),
        seconds("2012-03-12T13:30"),
    ]


def test_prices_are_the_recorded_ones(client):
    """The first day of FB arrives with the source's figures."""
    result = client.yahoo("FB", "2012-05-18", "2012-05-19").json()["chart"]["result"][0]
    quote = {name: column[0] for name, column in result["indicators"]["quote"][0].items()}
    assert quote["volume"] == 573576400
    assert quote["low"] <= quote["open"] <= quote["high"]
    assert result["meta"]["symbol"] == "FB"
    assert result["meta"]["exchangeTimezoneName"] == "America/New_York"


def test_an_empty_window_is_200_without_timestamps(client):
    """A weekend within the history is a success without `timestamp` and an empty quote."""
    response = client.yahoo("AAPL", "2013-02-23", "2013-02-24")
    result = response.json()["chart"]["result"][0]
    assert response.status_code == 200
    assert "timestamp" not in result
    assert result["indicators"] == {"quote": [{}], "adjclose": [{}]}


def test_a_window_before_the_first_bar_is_a_400(client):
    """What lies before a listing is refused in words, as the real one does."""
    response = client.yahoo("GOOG", "2003-01-02", "2003-06-01")
    assert response.status_code == 400
    assert response.json()["chart"]["error"]["description"].startswith("Data doesn't exist")


def test_an_unknown_symbol_is_a_404_with_a_chart_error(client):
    """The error document stands under `chart` and names the code Not Found."""
    response = client.yahoo("NOPE1", "2012-01-01", "2012-02-01")
    assert response.status_code == 404
    assert response.json() == {
        "chart": {
            "result": None,
            "error": {
                "code": "Not Found",
                "description": "No data found, symbol may be delisted",
            },
        }
    }


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v8/finance/chart/AAPL", 422),
        ("/v8/finance/chart/AAPL?period1=x&period2=y", 422),
        ("/v8/finance/chart/AAPL?period1=20&period2=10", 400),
        ("/v8/finance/chart/AAPL?period1=10&period2=20&interval=7m", 422),
        ("/v8/nothing", 404),
    ],
)
def test_nonsense_is_refused_without_harm(client, path, status):
    """Bad parameters get a client error with a JSON body, never a 500."""
    response = client.get(path)
    assert response.status_code == status
    assert response.json()


def test_the_running_day_is_a_live_row(client, simulator):
    """In mid-session the last daily row carries the market time and partial figures."""
    simulator.control.set_now(datetime(2013, 3, 1, 16, tzinfo=UTC))
    live = client.yahoo("AAPL", "2013-02-28", "2013-03-02")
    simulator.control.set_now(datetime(2013, 3, 4, tzinfo=UTC))
    settled = client.yahoo("AAPL", "2013-02-28", "2013-03-02")
    assert rows(live)[-1][0] == seconds("2013-03-01T16:00")
    assert rows(settled)[-1][0] == seconds("2013-03-01T14:30")
    volumes = [
        answer.json()["chart"]["result"][0]["indicators"]["quote"][0]["volume"][-1]
        for answer in (live, settled)
    ]
    assert volumes[0] < volumes[1]
    assert rows(live)[0] == rows(settled)[0]


def test_the_live_row_stays_until_midnight(client, simulator):
    """After the close today's row is complete but stamped with the closing time."""
    simulator.control.set_now(datetime(2013, 3, 1, 23, tzinfo=UTC))
    found = rows(client.yahoo("AAPL", "2013-03-01", "2013-03-02"))
    assert found == [(seconds("2013-03-01T21:00"), 430.47)]


def test_today_stands_beside_its_week(client, simulator):
    """A running week has a row up to yesterday and one of today's, stamped now."""
    simulator.control.set_now(datetime(2013, 2, 27, 16, tzinfo=UTC))
    found = rows(client.yahoo("AAPL", "2013-02-18", "2013-03-02", "1wk"))
    assert [stamp for stamp, _ in found] == [
        seconds("2013-02-18T05:00"),
        seconds("2013-02-25T05:00"),
        seconds("2013-02-27T16:00"),
    ]


def test_nothing_of_the_future_is_served(client, simulator):
    """Sessions after the simulated time do not exist yet."""
    simulator.control.set_now(datetime(2012, 6, 1, 6, tzinfo=UTC))
    found = rows(client.yahoo("AAPL", "2012-05-29", "2012-06-30"))
    assert [stamp for stamp, _ in found][-1] == seconds("2012-05-31T13:30")
