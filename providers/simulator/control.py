"""The /_sim endpoints through which tests steer and question a running simulator."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import orjson

from providers.simulator.app import SimulatorApp
from providers.simulator.config import Limits
from providers.simulator.faults import UnknownFault
from providers.simulator.rules import AnyRule
from providers.simulator.wire import Incoming, Reply

PREFIX = "/_sim/"


class Clock(msgspec.Struct, forbid_unknown_fields=True):
    """Hold the body of POST /_sim/clock."""

    now: str | None


class LimitChange(msgspec.Struct, forbid_unknown_fields=True):
    """Hold the body of POST /_sim/limits; without `limits` the provider has none any more."""

    provider: str
    limits: Limits | None = None


class Control:
    """Answer control requests; every body is JSON."""

    def __init__(self, app: SimulatorApp) -> None:
        self._app = app
        self._routes = {
            ("GET", "health"): self._health,
            ("GET", "stats"): self._stats,
            ("GET", "log"): self._log,
            ("POST", "reset"): self._reset,
            ("GET", "faults"): self._list_faults,
            ("POST", "faults"): self._arm,
            ("DELETE", "faults"): self._disarm,
            ("POST", "limits"): self._limit,
            ("POST", "clock"): self._set_clock,
        }

    def handle(self, incoming: Incoming) -> Reply:
        """Answer, with 400 for a body that makes no sense and 404 for what does not exist."""
        verb, _, argument = incoming.path.removeprefix(PREFIX).partition("/")
        route = self._routes.get((incoming.method, verb))
        if route is None:
            return _answer({"error": f"no {incoming.method} {incoming.path}"}, status=404)
        try:
            return _answer(route(incoming, argument))
        except UnknownFault as error:
            return _answer({"error": str(error)}, status=404)
        except (msgspec.DecodeError, ValueError) as error:
            return _answer({"error": str(error)}, status=400)

    def _health(self, incoming: Incoming, argument: str) -> object:
        del incoming, argument
        app = self._app
        return {"ok": True, "pid": os.getpid(), "base_url": app.base_url, "now_us": app.now()}

    def _stats(self, incoming: Incoming, argument: str) -> object:
        del argument
        params = incoming.params
        return self._app.journal.stats(
            window=float(params.get("window", 1.0)), arrivals=params.get("arrivals") == "1"
        )

    def _log(self, incoming: Incoming, argument: str) -> object:
        del argument
        return self._app.journal.log(provider=incoming.params.get("provider"))

    def _reset(self, incoming: Incoming, argument: str) -> object:
        del incoming, argument
        self._app.journal.clear()
        for name, limiter in list(self._app.limiters.items()):
            self._app.set_limits(name, limiter.limits)
        return {"ok": True}

    def _list_faults(self, incoming: Incoming, argument: str) -> object:
        del incoming, argument
        return self._app.faults.describe()

    def _arm(self, incoming: Incoming, argument: str) -> object:
        del argument
        rules = msgspec.json.decode(incoming.body, type=list[AnyRule])
        return {"names": [self._app.faults.arm(rule) for rule in rules]}

    def _disarm(self, incoming: Incoming, argument: str) -> object:
        del incoming
        if argument:
            self._app.faults.disarm(argument)
        else:
            self._app.faults.clear()
        return {"ok": True}

    def _limit(self, incoming: Incoming, argument: str) -> object:
        del argument
        change = msgspec.json.decode(incoming.body, type=LimitChange)
        if change.limits is None:
            self._app.limiters.pop(change.provider, None)
        else:
            self._app.set_limits(change.provider, change.limits)
        return {"ok": True}

    def _set_clock(self, incoming: Incoming, argument: str) -> object:
        del argument
        clock = msgspec.json.decode(incoming.body, type=Clock)
        self._app.set_now(clock.now)
        return {"ok": True, "now_us": self._app.now()}


def _answer(document: Any, *, status: int = 200) -> Reply:
    return Reply(status, (orjson.dumps(document),))
