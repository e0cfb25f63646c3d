"""Arrivals are stamped by the kernel: a simulator that had no time to read counts as if it had."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from urllib.parse import urlsplit

import pytest

PAUSE = 0.15


def connect(simulator):
    address = urlsplit(simulator.base_url)
    return socket.create_connection((address.hostname, address.port), timeout=10)


def ask(connection, symbol):
    connection.sendall(
        f"GET /v8/finance/chart/{symbol}?period1=1330560000&period2=1331000000&interval=1d"
        " HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    )
    return time.time()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says when bytes came in")
def test_a_frozen_simulator_knows_when_and_in_which_order_requests_came(simulator):
    """A new connection's request that came before one on an open connection stands before it."""
    with connect(simulator) as early:
        ask(early, "AAPL")
        assert early.recv(65536)
        simulator.control.reset()
        os.kill(simulator.pid, signal.SIGSTOP)
        try:
            with connect(simulator) as late:
                sent = [ask(late, "GOOG")]
                time.sleep(PAUSE)
                sent.append(ask(early, "IBM"))
                time.sleep(PAUSE)
                os.kill(simulator.pid, signal.SIGCONT)
                assert late.recv(65536)
                assert early.recv(65536)
        finally:
            os.kill(simulator.pid, signal.SIGCONT)
    log = simulator.control.log("yahoo")
    assert [entry["symbol"] for entry in log] == ["GOOG", "IBM"]
    arrivals = [entry["arrival"] for entry in log]
    assert arrivals == pytest.approx(sent, abs=PAUSE / 2)
