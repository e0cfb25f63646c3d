"""Every fault can be asked for, strikes where it was aimed, and can be taken back."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson
import pytest
import requests

from tests.simulator.conftest import seconds

WINDOW = ("2012-03-01", "2012-03-31")


def columns(response):
    """Return the timestamps and the quote of a yahoo answer."""
    result = response.json()["chart"]["result"][0]
    return result["timestamp"], result["indicators"]["quote"][0]


def outcome(simulator):
    """Return the outcome of the last provider request."""
    return simulator.control.log()[-1]["outcome"]


def test_a_status_comes_with_the_providers_own_body(client, simulator):
    """Each provider words its 403 in its own way."""
    simulator.control.arm({"kind": "status", "status": 403})
    assert client.yahoo("AAPL", *WINDOW).json()["chart"]["error"]["code"] == "Forbidden"
    assert client.polygon("AAPL", *WINDOW).json()["status"] == "NOT_AUTHORIZED"


def test_retry_after_is_sent_in_seconds_or_as_a_date(client, simulator):
    """Both forms that HTTP knows can be asked for."""
    simulator.control.arm(
        {"kind": "status", "status": 429, "retry_after": 7, "provider": "yahoo"},
        {
            "kind": "status",
            "status": 503,
            "retry_after": 60,
            "retry_after_as": "date",
            "provider": "polygon",
        },
    )
    assert client.yahoo("AAPL", *WINDOW).headers["Retry-After"] == "7"
    until = parsedate_to_datetime(client.polygon("AAPL", *WINDOW).headers["Retry-After"])
    assert until > datetime.now(UTC)


def test_the_nth_request_is_hit(client, simulator):
    """`nth` counts matching requests from one."""
    simulator.control.arm({"kind": "status", "status": 500, "nth": [2, 4]})
    statuses = [client.yahoo("AAPL", *WINDOW).status_code for _ in range(5)]
    assert statuses == [200, 500, 200, 500, 200]


def test_each_distinct_request_fails_once(client, simulator):
    """With scope request the first try of everything fails and the second succeeds."""
    simulator.control.arm({"kind": "status", "status": 502, "first": 1, "scope": "request"})
    tries = [client.yahoo(symbol, *WINDOW).status_code for symbol in ("AAPL", "IBM") * 2]
    assert tries == [502, 502, 200, 200]


def test_rules_aim_at_symbol_path_provider_and_timeframe(client, simulator):
    """A rule strikes only what matches all of its patterns."""
    simulator.control.arm(
        {
            "kind": "status",
            "status": 500,
            "provider": "yahoo",
            "symbol": "A*",
            "path": "/v8/*",
            "timeframe": "1d",
        }
    )
    assert client.yahoo("AAPL", *WINDOW).status_code == 500
    assert client.yahoo("IBM", *WINDOW).status_code == 200
    assert client.yahoo("AAPL", *WINDOW, "1wk").status_code == 200
    assert client.polygon("AAPL", *WINDOW).status_code == 200


def test_times_and_after_bound_a_rule(client, simulator):
    """`after` lets requests pass first, `times` ends the rule."""
    simulator.control.arm({"kind": "status", "status": 500, "after": 1, "times": 2})
    statuses = [client.yahoo("AAPL", *WINDOW).status_code for _ in range(5)]
    assert statuses == [200, 500, 500, 200, 200]


def test_probability_is_repeatable(client, simulator):
    """The same named rule hits the same requests each time it is armed."""
    rule = {"kind": "status", "status": 500, "probability": 0.5, "name": "coin"}
    runs = []
    for _ in range(2):
        simulator.control.arm(rule)
        runs.append([client.yahoo("AAPL", *WINDOW).status_code for _ in range(12)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}


def test_a_disarmed_fault_strikes_no_more(client, simulator):
    """Removing a rule restores the good answer; removing it twice is an error."""
    (name,) = simulator.control.arm({"kind": "garbage"})
    assert client.yahoo("AAPL", *WINDOW).text.startswith("<!DOCTYPE html>")
    simulator.control.disarm(name)
    assert client.yahoo("AAPL", *WINDOW).json()["chart"]["error"] is None
    with pytest.raises(ValueError, match=name):
        simulator.control.disarm(name)


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "earthquake"},
        {"kind": "status"},
        {"kind": "status", "status": "high"},
        {"kind": "latency", "seconds": 1, "speed": 2},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(simulator, rule):
    """Unknown kinds, missing, mistyped and unknown fields are errors, and nothing is armed."""
    with pytest.raises(ValueError, match=r"\$\[0\]|kind"):
        simulator.control.arm(rule)
    assert simulator.control.faults() == []


def test_an_empty_answer_is_the_providers_own(client, simulator):
    """Emptiness looks like the provider's answer for a window without bars."""
    simulator.control.arm({"kind": "empty"})
    assert client.yahoo("AAPL", *WINDOW).json()["chart"]["result"][0]["indicators"]["quote"] == [{}]
    assert client.polygon("AAPL", *WINDOW).json()["resultsCount"] == 0


def test_latency_delays_the_answer_and_not_the_arrival(client, simulator):
    """The arrival is stamped at once although the answer comes later."""
    simulator.control.arm({"kind": "latency", "seconds": 0.3, "jitter": 0.05})
    before = time.time()
    client.yahoo("AAPL", *WINDOW)
    after = time.time()
    arrival = simulator.control.log()[-1]["arrival"]
    assert after - before >= 0.3
    assert after - arrival >= 0.3


def test_a_hung_request_gets_no_answer(client, simulator):
    """The client's own deadline ends it."""
    simulator.control.arm({"kind": "hang"})
    with pytest.raises(requests.exceptions.ReadTimeout):
        client.get("/v8/finance/chart/AAPL?period1=1330000000&period2=1340000000", timeout=0.3)
    assert outcome(simulator) == "hang"


def test_a_reset_drops_the_connection(client, simulator):
    """The connection ends without an answer."""
    simulator.control.arm({"kind": "reset"})
    with pytest.raises(requests.exceptions.ConnectionError):
        client.yahoo("AAPL", *WINDOW)
    assert outcome(simulator) == "reset"


def test_a_slow_drip_arrives_whole(client, simulator):
    """Dripped bodies are complete in the end."""
    plain = client.yahoo("AAPL", *WINDOW).content
    simulator.control.arm({"kind": "drip", "chunks": 5, "interval": 0.05})
    began = time.monotonic()
    assert client.yahoo("AAPL", *WINDOW).content == plain
    assert time.monotonic() - began >= 0.2


def test_truncated_json_in_well_formed_http(client, simulator):
    """The body ends in mid-document while HTTP itself is intact."""
    simulator.control.arm({"kind": "truncate", "fraction": 0.7})
    response = client.yahoo("AAPL", *WINDOW)
    assert int(response.headers["Content-Length"]) == len(response.content)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(response.content)
    assert not simulator.control.log()[-1]["served"]


def test_a_cut_connection_breaks_the_promise_of_content_length(client, simulator):
    """With cut_connection the transfer itself is incomplete."""
    simulator.control.arm({"kind": "truncate", "cut_connection": True})
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        client.yahoo("AAPL", *WINDOW)


def test_duplicate_rows(client, simulator):
    """A row comes twice, identically, next to its twin."""
    plain, _ = columns(client.yahoo("AAPL", *WINDOW))
    simulator.control.arm({"kind": "duplicate", "rows": 2})
    stamps, quote = columns(client.yahoo("AAPL", *WINDOW))
    assert len(stamps) == len(plain) + 2
    assert sorted(set(stamps)) == plain
    assert stamps == sorted(stamps)
    twins = [i for i in range(1, len(stamps)) if stamps[i] == stamps[i - 1]]
    assert all(quote["close"][i] == quote["close"][i - 1] for i in twins)


def test_conflicting_duplicates(client, simulator):
    """A row comes twice with different figures, the same way on every request."""
    simulator.control.arm({"kind": "conflict", "name": "twins"})
    first, second = (columns(client.yahoo("AAPL", *WINDOW)) for _ in range(2))
    stamps, quote = first
    (twin,) = [i for i in range(1, len(stamps)) if stamps[i] == stamps[i - 1]]
    assert quote["close"][twin] != quote["close"][twin - 1]
    assert quote["volume"][twin] != quote["volume"][twin - 1]
    assert first == second


@pytest.mark.parametrize("reverse", [True, False])
def test_out_of_order_rows(client, simulator, reverse):
    """The same rows come in another order."""
    plain, _ = columns(client.yahoo("AAPL", *WINDOW))
    simulator.control.arm({"kind": "out_of_order", "reverse": reverse})
    stamps, _ = columns(client.yahoo("AAPL", *WINDOW))
    assert stamps != plain
    assert sorted(stamps) == plain
    assert (stamps == plain[::-1]) is reverse


def test_a_forming_last_row(client, simulator):
    """The last row is as it stood in mid-session, the others are untouched."""
    plain, settled = columns(client.yahoo("AAPL", *WINDOW))
    simulator.control.arm({"kind": "forming", "fraction": 0.25})
    stamps, quote = columns(client.yahoo("AAPL", *WINDOW))
    assert stamps == plain
    assert quote["volume"][-1] < settled["volume"][-1]
    assert quote["close"][:-1] == settled["close"][:-1]


def test_rows_with_impossible_prices(client, simulator):
    """A row's high lies below its low."""
    simulator.control.arm({"kind": "bad_ohlc", "rows": 3})
    _, quote = columns(client.yahoo("AAPL", *WINDOW))
    assert sum(h < low for h, low in zip(quote["high"], quote["low"], strict=True)) == 3


def test_null_rows(client, simulator):
    """A row keeps its stamp and loses its figures, at both providers."""
    simulator.control.arm({"kind": "nulls", "rows": 2})
    stamps, quote = columns(client.yahoo("AAPL", *WINDOW))
    assert len(stamps) == 22
    for name in ("open", "high", "low", "close", "volume"):
        assert quote[name].count(None) == 2
    rows = client.polygon("AAPL", *WINDOW).json()["results"]
    assert sum(row["c"] is None and row["v"] is None for row in rows) == 2


def test_withheld_sessions_return_when_released(client, simulator):
    """Sessions stay away at both providers, by day and by minute, until they are released."""
    rule = {"kind": "withhold", "dates": ["2012-03-05"], "name": "late"}
    simulator.control.arm(rule)
    stamps, _ = columns(client.yahoo("AAPL", *WINDOW))
    assert len(stamps) == 21
    assert seconds("2012-03-05T14:30") not in stamps
    assert len(client.polygon("AAPL", *WINDOW).json()["results"]) == 21
    minutes, _ = columns(client.yahoo("SYN", "2012-03-04", "2012-03-07", "1m"))
    assert min(minutes) == seconds("2012-03-06T14:30")
    simulator.control.disarm("late")
    assert len(columns(client.yahoo("AAPL", *WINDOW))[0]) == 22


def test_revised_values(client, simulator):
    """A revision changes the named sessions only."""
    plain, before = columns(client.yahoo("AAPL", *WINDOW))
    simulator.control.arm({"kind": "revise", "dates": ["2012-03-05"], "factor": 0.5})
    _, after = columns(client.yahoo("AAPL", *WINDOW))
    changed = [i for i in range(len(plain)) if before["close"][i] != after["close"][i]]
    assert [plain[i] for i in changed] == [seconds("2012-03-05T14:30")]
    assert after["close"][changed[0]] == before["close"][changed[0]] / 2
    assert after["volume"] == before["volume"]


def test_latency_and_row_faults_combine(client, simulator):
    """Several rules strike one request, and the log names all of them."""
    simulator.control.arm(
        {"kind": "latency", "seconds": 0.01, "name": "slow"},
        {"kind": "duplicate", "name": "twice"},
        {"kind": "out_of_order", "name": "mixed"},
    )
    stamps, _ = columns(client.yahoo("AAPL", *WINDOW))
    assert len(stamps) == 23
    assert simulator.control.log()[-1]["faults"] == ["slow", "twice", "mixed"]
