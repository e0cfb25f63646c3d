"""The strict limiter: exact windows, counted before any delay."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.simulator.config import Limit, Limits
from providers.simulator.journal import max_in_window
from providers.simulator.limiter import NANO, Limiter

WINDOW = ("2012-03-01", "2012-03-31")


def limiter(n, window, mode="count"):
    return Limiter(Limits((Limit(n, window),), mode))


def test_n_arrivals_per_window_are_allowed():
    """The n-th arrival is fine, the next one within the window is not, the window is half-open."""
    judge = limiter(2, 1.0)
    times = [0, NANO - 1, NANO, NANO + 1]
    assert [judge.arrive(at).violation for at in times] == [False, False, False, True]


@given(st.lists(st.integers(0, 10 * NANO), max_size=60), st.integers(1, 6))
def test_violations_match_a_plain_count(times, n):
    """A violation is an arrival with n others in the second before it."""
    times.sort()
    judge = limiter(n, 1.0)
    found = [judge.arrive(at).violation for at in times]
    plain = [sum(at - NANO < other for other in times[:i]) >= n for i, at in enumerate(times)]
    assert found == plain


@given(st.lists(st.integers(0, 10 * NANO), min_size=1, max_size=60), st.integers(1, 6))
def test_real_limits_let_through_at_most_n(times, n):
    """In real mode accepted requests never exceed the limit, and a wait as told is accepted."""
    times.sort()
    judge = limiter(n, 1.0, "real")
    verdicts = [judge.arrive(at) for at in times]
    accepted = [at for at, v in zip(times, verdicts, strict=True) if v.retry_after is None]
    for at in accepted:
        assert sum(at - NANO < other <= at for other in accepted) <= n
    if verdicts[-1].retry_after is not None:
        later = times[-1] + round(verdicts[-1].retry_after * NANO)
        assert judge.arrive(later).retry_after is None


def test_several_limits_hold_at_once():
    """The stricter of two windows decides, and each violation counts once."""
    judge = Limiter(Limits((Limit(2, 1.0), Limit(3, 10.0)), "reject"))
    verdicts = [judge.arrive(at * NANO) for at in (0, 2, 4, 6)]
    assert [v.violation for v in verdicts] == [False, False, False, True]
    assert verdicts[-1].retry_after == pytest.approx(4.0)
    assert judge.violations == 1


def test_counting_serves_everything(client, simulator):
    """In count mode every request is answered and the excess is counted."""
    simulator.control.limit("yahoo", (3, 60.0))
    statuses = [client.yahoo("AAPL", *WINDOW).status_code for _ in range(5)]
    stats = simulator.control.stats(window=60.0)["yahoo"]
    assert statuses == [200] * 5
    assert (stats["violations"], stats["max_in_window"]) == (2, 5)


@pytest.mark.parametrize("mode", ["reject", "real"])
def test_rejection_is_a_429_with_retry_after(client, simulator, mode):
    """The excess gets a 429 in the provider's words and is told when to come back."""
    simulator.control.limit("polygon", (2, 60.0), mode=mode)
    answers = [client.polygon("AAPL", *WINDOW) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "exceeded the maximum requests" in answers[-1].json()["error"]
    assert 55 <= int(answers[-1].headers["Retry-After"]) <= 60


def test_limits_can_be_lifted(client, simulator):
    """Without limits nothing is a violation."""
    simulator.control.limit("yahoo", (1, 60.0), mode="reject")
    simulator.control.limit("yahoo")
    assert [client.yahoo("AAPL", *WINDOW).status_code for _ in range(3)] == [200] * 3


def test_arrivals_are_counted_before_the_delay(client, simulator):
    """Requests that overlap under latency all count in the window of their arrival."""
    simulator.control.limit("yahoo", (4, 30.0))
    simulator.control.arm({"kind": "latency", "seconds": 0.3})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.yahoo("AAPL", *WINDOW), range(8)))
    stats = simulator.control.stats(arrivals=True)["yahoo"]
    assert stats["violations"] == 4
    assert len(stats["arrivals"]) == 8
    assert stats["arrivals"] == sorted(stats["arrivals"])


def test_identical_requests_are_found(client, simulator):
    """Stats name what was asked, and what was served, more than once."""
    simulator.control.arm({"kind": "status", "status": 500, "times": 1})
    for symbol in ("AAPL", "AAPL", "IBM"):
        client.yahoo(symbol, *WINDOW)
    stats = simulator.control.stats()["yahoo"]
    assert stats["requests"] == 3
    assert stats["identical_requests"]["extra"] == 1
    assert stats["identical_served"]["extra"] == 0
    assert stats["by_symbol"] == {"AAPL": 2, "IBM": 1}
    assert stats["by_status"] == {"200": 2, "500": 1}


@given(st.lists(st.floats(0, 100), max_size=50))
def test_max_in_window_matches_a_plain_count(times):
    """The busiest second ends with one of the arrivals."""
    plain = max((sum(at - 1 < other <= at for other in times) for at in times), default=0)
    assert max_in_window(times, 1.0) == plain
