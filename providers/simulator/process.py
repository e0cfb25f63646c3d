"""Run the simulator as a real process from Python, and talk to its control endpoints."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

START_TIMEOUT = 20.0
STOP_TIMEOUT = 5.0
PACKAGE_ROOT = Path(__file__).resolve().parents[2]


class SimulatorFailed(RuntimeError):
    """Signal a simulator that did not start; the text holds what it wrote."""


class SimulatorControl:
    """Steer and question a running simulator."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False

    def health(self) -> dict[str, Any]:
        """Return pid, address and simulated time."""
        answer: dict[str, Any] = self._call("GET", "health")
        return answer

    def stats(self, *, window: float = 1.0, arrivals: bool = False) -> dict[str, Any]:
        """Return counts per provider; `window` in seconds is the span for `max_in_window`."""
        answer: dict[str, Any] = self._call(
            "GET", f"stats?window={window}&arrivals={int(arrivals)}"
        )
        return answer

    def log(self, provider: str | None = None) -> list[dict[str, Any]]:
        """Return every request in order of arrival."""
        query = "" if provider is None else f"?provider={provider}"
        answer: list[dict[str, Any]] = self._call("GET", f"log{query}")
        return answer

    def reset(self) -> None:
        """Forget past requests and start the limiters afresh; faults stay."""
        self._call("POST", "reset")

    def faults(self) -> list[dict[str, Any]]:
        """List armed faults with `seen` and `hits`."""
        answer: list[dict[str, Any]] = self._call("GET", "faults")
        return answer

    def arm(self, *rules: Mapping[str, Any]) -> list[str]:
        """Add faults, each a mapping with `kind`; returns their names."""
        answer: list[str] = self._call("POST", "faults", list(rules))["names"]
        return answer

    def disarm(self, *names: str) -> None:
        """Remove faults by name, all of them without a name."""
        for name in names:
            self._call("DELETE", f"faults/{name}")
        if not names:
            self._call("DELETE", "faults")

    def limit(
        self,
        provider: str,
        *limits: tuple[int, float],
        mode: str = "count",
    ) -> None:
        """Set a provider's limits as (n, window in seconds); without any it has none."""
        described = [{"n": n, "window": window} for n, window in limits]
        change = {"limits": described, "mode": mode} if limits else None
        self._call("POST", "limits", {"provider": provider, "limits": change})

    def set_now(self, now: datetime | None) -> None:
        """Fix the simulated time, or let it follow the real clock."""
        self._call("POST", "clock", {"now": None if now is None else now.isoformat()})

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _call(self, method: str, verb: str, body: object = None) -> Any:
        answer = self._session.request(
            method,
            f"{self.base_url}/_sim/{verb}",
            data=None if body is None else json.dumps(body),
            timeout=30,
        )
        document = answer.json()
        if answer.status_code != 200:
            raise ValueError(document["error"])
        return document


class Simulator:
    """Start a simulator as a child process; use it as a context manager.

    `config` is the content of a configuration file. The child ends with this process, however
    that ends.
    """

    def __init__(self, config: Mapping[str, Any] | None = None, *, port: int = 0) -> None:
        self._config = dict(config or {})
        self._port = port
        self._process: subprocess.Popen[str] | None = None
        self._control: SimulatorControl | None = None

    @property
    def control(self) -> SimulatorControl:
        """Return the control client of the running simulator."""
        if self._control is None:
            raise SimulatorFailed("the simulator is not running; use it in a with statement")
        return self._control

    @property
    def base_url(self) -> str:
        """Return http://127.0.0.1:port."""
        return self.control.base_url

    @property
    def pid(self) -> int:
        """Return the child's process id."""
        if self._process is None:
            raise SimulatorFailed("the simulator is not running; use it in a with statement")
        return self._process.pid

    def start(self) -> Self:
        """Start the child and wait until it listens; raises SimulatorFailed."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "simulator.json"
            path.write_text(json.dumps(self._config, default=_encode), encoding="utf-8")
            self._process = subprocess.Popen(
                _command(self._port, path),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=PACKAGE_ROOT,
                text=True,
            )
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise SimulatorFailed("the simulator did not start; its reason is on stderr")
        self._control = SimulatorControl(json.loads(line)["base_url"])
        return self

    def stop(self) -> None:
        """End the child; does nothing if there is none."""
        process, self._process = self._process, None
        if self._control is not None:
            self._control.close()
            self._control = None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _command(port: int, config: Path) -> Sequence[str]:
    module = [sys.executable, "-m", "providers.simulator", "--watch-stdin"]
    return [*module, "--port", str(port), "--config", str(config)]


def _encode(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a simulator configuration")
