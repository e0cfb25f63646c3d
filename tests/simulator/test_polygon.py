"""The simulated polygon answers as recordings of the real one do."""

from __future__ import annotations

import pytest

from tests.simulator.conftest import KEY, seconds


def test_a_missing_and_a_wrong_key_are_401(client):
    """Both refusals are JSON with a request id and say which of the two it is."""
    path = "/v2/aggs/ticker/AAPL/range/1/day/2012-01-03/2012-01-05"
    missing = client.get(path)
    wrong = client.get(path, headers={"Authorization": "Bearer wrong"})
    assert (missing.status_code, wrong.status_code) == (401, 401)
    assert missing.json()["error"] == "API Key was not provided"
    assert wrong.json()["error"] == "Unknown API Key"
    assert wrong.json()["request_id"]


def test_the_key_may_come_as_a_parameter(client):
    """The apiKey parameter is accepted and never shows in the log."""
    path = f"/v2/aggs/ticker/AAPL/range/1/day/2012-01-03/2012-01-05?apiKey={KEY}"
    assert client.get(path).status_code == 200
    assert KEY not in client.get("/_sim/log").text


def test_daily_bars_start_at_new_york_midnight_and_include_the_last_day(client):
    """`to` is inclusive, `t` is 05:00Z in winter, and large volumes use exponents."""
    response = client.polygon("AAPL", "2012-01-03", "2012-01-05")
    document = response.json()
    assert [row["t"] for row in document["results"]] == [
        seconds(f"2012-01-0{day}T05:00") * 1000 for day in (3, 4, 5)
    ]
    assert document["resultsCount"] == document["queryCount"] == document["count"] == 3
    assert (document["status"], document["adjusted"]) == ("OK", True)
    assert '"v":1.07936e+07' in response.text
    assert "vw" not in document["results"][0]


def test_pages_follow_next_url_without_loss_or_repeat(client):
    """Paging by next_url gives the same rows as one large page, on this server's own address."""
    whole = client.polygon("IBM", "2012-01-03", "2012-03-01").json()["results"]
    response = client.polygon("IBM", "2012-01-03", "2012-03-01", limit=7)
    collected = []
    pages = 0
    while True:
        document = response.json()
        collected += document["results"]
        pages += 1
        if "next_url" not in document:
            break
        assert document["next_url"].startswith(client.base_url)
        path = document["next_url"].removeprefix(client.base_url)
        response = client.get(path, headers={"Authorization": f"Bearer {KEY}"})
    assert collected == whole
    assert pages == -(-len(whole) // 7)


def test_weeks_start_on_sunday(client):
    """A weekly bar is stamped with the New York midnight of its Sunday."""
    results = client.polygon("IBM", "2012-01-08", "2012-01-14", "1/week").json()["results"]
    assert [row["t"] for row in results] == [seconds("2012-01-08T05:00") * 1000]


def test_nothing_found_is_a_success_without_results(client):
    """An unknown ticker and an empty window look alike: OK and no `results`."""
    unknown = client.polygon("NOPE1", "2012-01-03", "2012-01-05").json()
    weekend = client.polygon("AAPL", "2012-01-07", "2012-01-08").json()
    for document in (unknown, weekend):
        assert document["status"] == "OK"
        assert document["resultsCount"] == 0
        assert "results" not in document


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/aggs/ticker/AAPL/range/7/day/2012-01-03/2012-01-05", 400),
        ("/v2/aggs/ticker/AAPL/range/1/day/2012-01-05/2012-01-03", 400),
        ("/v2/aggs/ticker/AAPL/range/1/day/yesterday/2012-01-03", 400),
        ("/v2/aggs/ticker/AAPL/range/1/day/2012-01-03/2012-01-05?limit=x", 400),
        ("/v2/aggs/ticker/AAPL/range/1/day/2012-01-03/2012-01-05?cursor=%00", 400),
        ("/v2/aggs/ticker/AAPL", 404),
    ],
)
def test_nonsense_is_refused_without_harm(client, path, status):
    """Bad requests get a client error with a JSON body, never a 500."""
    response = client.get(path, headers={"Authorization": f"Bearer {KEY}"})
    assert response.status_code == status
    assert response.json()["status"] == "ERROR"
