"""Decide, request by request, which rules strike."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import dataclass, field

import msgspec

from providers.simulator.rules import AnswerRule, AnyRule, RowRule, Rule, WireRule
from providers.simulator.wire import Ask


@dataclass(slots=True)
class ArmedRule:
    """Keep one rule's counters; `serial` is never used again, so caches can key on it."""

    rule: Rule
    serial: int
    rng: random.Random
    seen: Counter[str] = field(default_factory=Counter)
    hits: int = 0

    def strikes(self, ask: Ask) -> bool:
        """Count a request if the rule selects it, and tell whether it is hit."""
        rule = self.rule
        if not rule.selects(
            provider=ask.provider, symbol=ask.symbol, path=ask.path, timeframe=ask.timeframe
        ):
            return False
        scope = {"rule": "", "symbol": ask.symbol, "request": ask.key}[rule.scope]
        self.seen[scope] += 1
        if rule.times is not None and self.hits >= rule.times:
            return False
        struck = rule.hits(self.seen[scope], self.rng)
        self.hits += struck
        return struck


@dataclass(frozen=True, slots=True)
class Plan:
    """Hold what strikes one request."""

    answer: AnswerRule | None
    wire: tuple[WireRule, ...]
    rows: tuple[RowRule, ...]
    row_serials: tuple[int, ...]
    names: tuple[str, ...]


NO_FAULTS = Plan(answer=None, wire=(), rows=(), row_serials=(), names=())


class UnknownFault(LookupError):
    """Signal a fault name that is not armed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no fault named {name!r}")
        self.name = name


class FaultBook:
    """Hold the armed rules in order."""

    def __init__(self) -> None:
        self._armed: dict[str, ArmedRule] = {}
        self._serials = itertools.count(1)

    def arm(self, rule: AnyRule) -> str:
        """Add a rule, or replace the one of the same name; returns its name."""
        serial = next(self._serials)
        name = rule.name or f"{rule.__struct_config__.tag}-{serial}"
        named = msgspec.structs.replace(rule, name=name)
        self._armed[name] = ArmedRule(named, serial, random.Random(name))
        return name

    def disarm(self, name: str) -> None:
        """Remove a rule; raises UnknownFault."""
        if self._armed.pop(name, None) is None:
            raise UnknownFault(name)

    def clear(self) -> None:
        """Remove every rule."""
        self._armed.clear()

    def describe(self) -> list[dict[str, object]]:
        """List the rules with how often each was met and how often it struck."""
        return [
            {
                **msgspec.to_builtins(armed.rule),
                "seen": armed.seen.total(),
                "hits": armed.hits,
            }
            for armed in self._armed.values()
        ]

    def plan(self, ask: Ask) -> Plan:
        """Count a request for every rule and collect those that strike."""
        if not self._armed:
            return NO_FAULTS
        struck = [armed for armed in self._armed.values() if armed.strikes(ask)]
        rows = [armed for armed in struck if isinstance(armed.rule, RowRule)]
        answers = [armed.rule for armed in struck if isinstance(armed.rule, AnswerRule)]
        return Plan(
            answer=answers[0] if answers else None,
            wire=tuple(armed.rule for armed in struck if isinstance(armed.rule, WireRule)),
            rows=tuple(armed.rule for armed in rows if isinstance(armed.rule, RowRule)),
            row_serials=tuple(armed.serial for armed in rows),
            names=tuple(armed.rule.name for armed in struck),
        )
