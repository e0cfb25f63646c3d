"""One simulator process for the whole session, clean before every test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests

from providers.simulator.process import Simulator

KEY = "right-key"
NOW = datetime(2013, 3, 2, 12, tzinfo=UTC)


def seconds(text: str) -> int:
    """Return the Unix time of an ISO date or datetime in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class Client:
    """Ask a simulator as a plain HTTP client would."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str, **kwargs: object) -> requests.Response:
        return self.session.get(self.base_url + path, **{"timeout": 10, **kwargs})

    def yahoo(
        self, symbol: str, start: str, end: str, interval: str = "1d", **params: str
    ) -> requests.Response:
        query = {"period1": seconds(start), "period2": seconds(end), "interval": interval}
        return self.get(f"/v8/finance/chart/{symbol}", params=query | params)

    def polygon(
        self, symbol: str, start: str, end: str, span: str = "1/day", **params: object
    ) -> requests.Response:
        path = f"/v2/aggs/ticker/{symbol}/range/{span}/{start}/{end}"
        return self.get(path, params=params, headers={"Authorization": f"Bearer {KEY}"})


@pytest.fixture(scope="session")
def running_simulator() -> Iterator[Simulator]:
    config = {
        "now": NOW.isoformat(),
        "unknown_symbols": ["NOPE*"],
        "yahoo": {"enforce_reach": False},
        "polygon": {"keys": [KEY]},
    }
    with Simulator(config) as simulator:
        yield simulator


@pytest.fixture
def simulator(running_simulator: Simulator) -> Simulator:
    control = running_simulator.control
    control.disarm()
    control.limit("yahoo")
    control.limit("polygon")
    control.set_now(NOW)
    control.reset()
    return running_simulator


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Client]:
    client = Client(simulator.base_url)
    yield client
    client.session.close()
