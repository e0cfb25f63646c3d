"""One request in, one reply out: limits, faults, data and the journal come together here."""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import ceil

from providers.bars import Bars
from providers.instants import to_us
from providers.sessions import DAY_US
from providers.simulator.config import Limits, SimulatorConfig
from providers.simulator.faults import FaultBook, Plan
from providers.simulator.journal import Entry, Journal
from providers.simulator.limiter import NANO, Limiter
from providers.simulator.market import MICROSECOND, BarSource, Market
from providers.simulator.polygon import Polygon
from providers.simulator.rowfaults import damage
from providers.simulator.rules import (
    AnswerRule,
    Drip,
    Empty,
    Garbage,
    Hang,
    Latency,
    Reset,
    Status,
    Truncate,
)
from providers.simulator.tickers import PolygonTickers
from providers.simulator.wire import (
    Ask,
    Deferred,
    Delivery,
    Dialect,
    Fetched,
    Incoming,
    Manner,
    Refused,
    Rendered,
    Reply,
)
from providers.simulator.yahoo import Yahoo

GARBAGE = b"<!DOCTYPE html><html><body><h1>Will be right back</h1></body></html>"
# More rows than this are rendered beside the event loop, so that arrivals are still stamped.
INLINE_ROWS = 3_000


@dataclass(slots=True)
class Case:
    """Follow one request from arrival to reply."""

    arrival: int
    dialect: Dialect
    incoming: Incoming
    violation: bool
    ask: Ask | None = None
    plan: Plan | None = None


class RenderCache:
    """Keep rendered answers up to a number of bytes, dropping the least recently used."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._size = 0
        self._items: OrderedDict[tuple[object, ...], Rendered] = OrderedDict()

    def get(self, key: tuple[object, ...]) -> Rendered | None:
        """Return a kept answer."""
        found = self._items.get(key)
        if found is not None:
            self._items.move_to_end(key)
        return found

    def put(self, key: tuple[object, ...], rendered: Rendered) -> None:
        """Keep an answer."""
        if len(rendered.body) > self._max_bytes or key in self._items:
            return
        self._items[key] = rendered
        self._size += len(rendered.body)
        while self._size > self._max_bytes:
            self._size -= len(self._items.popitem(last=False)[1].body)

    def clear(self) -> None:
        """Drop everything."""
        self._items.clear()
        self._size = 0


class SimulatorApp:
    """Hold the simulated providers and their state."""

    def __init__(self, config: SimulatorConfig, *, synthetic: BarSource) -> None:
        self.config = config
        self.base_url = ""
        self.fixed_now = config.now
        self.market = Market(
            synthetic=synthetic,
            recorded=config.recorded,
            venues=config.venues,
            unknown=config.unknown_symbols,
        )
        self.dialects: dict[str, Dialect] = {
            "yahoo": Yahoo(config.yahoo),
            "polygon": Polygon(config.polygon),
            "polygon tickers": PolygonTickers(config.polygon),
        }
        self.faults = FaultBook()
        for rule in config.faults:
            self.faults.arm(rule)
        self.limiters = {name: Limiter(limits) for name, limits in config.limits.items()}
        self.journal = Journal(config.log_size)
        self.cache = RenderCache(config.cache_mb * 1024 * 1024)
        self._jitter = random.Random(0)
        # Wall time that never jumps: the epoch at start plus the monotonic clock since.
        self._epoch_offset = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        """Return the simulated time in microseconds."""
        if self.fixed_now is not None:
            return to_us(self.fixed_now)
        return (time.monotonic_ns() + self._epoch_offset) // 1000

    def set_now(self, text: str | None) -> None:
        """Fix the simulated time (ISO 8601 with an offset), or follow the real clock (None)."""
        fixed = None if text is None else datetime.fromisoformat(text)
        if fixed is not None and fixed.tzinfo is None:
            raise ValueError("now needs a UTC offset, for example 2013-03-01T21:00:00Z")
        self.fixed_now = fixed

    def set_limits(self, provider: str, limits: Limits) -> None:
        """Replace a provider's limiter by a fresh one."""
        self.limiters[provider] = Limiter(limits)

    def dialect_of(self, path: str) -> Dialect | None:
        """Find who answers a path."""
        for dialect in self.dialects.values():
            if path.startswith(dialect.prefix):
                return dialect
        return None

    def handle(self, incoming: Incoming, *, arrival: int) -> Reply | Deferred:
        """Answer a provider request that arrived at `arrival` (monotonic nanoseconds).

        Returns work for another thread where rendering takes long.
        """
        dialect = self.dialect_of(incoming.path)
        if dialect is None:
            return Reply(404, (b'{"error":"no simulated provider serves this path"}',))
        limiter = self.limiters.get(dialect.name)
        verdict = limiter.arrive(arrival) if limiter is not None else None
        case = Case(arrival, dialect, incoming, verdict is not None and verdict.violation)
        refusal = dialect.authorise(incoming)
        if refusal is not None:
            return self._note(case, refusal, "unauthorised")
        if verdict is not None and verdict.retry_after is not None:
            return self._note(case, self._throttled(dialect, verdict.retry_after), "throttled")
        now = self.now()
        try:
            case.ask = dialect.read(incoming, now=now)
        except Refused as refused:
            return self._note(case, refused.reply, "refused", refused=refused)
        case.plan = self.faults.plan(case.ask)
        if case.plan.answer is not None:
            reply = self._struck(case, case.plan.answer, now)
            return self._note(case, self._delivered(reply, case.plan), "fault")
        return self._good(case, case.ask, case.plan, now)

    def _good(self, case: Case, ask: Ask, plan: Plan, now: int) -> Reply | Deferred:
        settled = self.fixed_now is not None or ask.end < now - DAY_US
        key = (ask.provider, ask.key, plan.row_serials, self.fixed_now)

        def work() -> Rendered | Reply:
            try:
                page = self._page(case.dialect, ask, plan, now)
                return case.dialect.render(self.market, ask, page, now=now)
            except Refused as refused:
                return refused.reply

        def finish(result: Rendered | Reply) -> Reply:
            if isinstance(result, Reply):
                return self._note(case, self._delivered(result, plan), "refused")
            if settled:
                self.cache.put(key, result)
            reply = case.dialect.finish(ask, result, base_url=self.base_url)
            reply = self._delivered(reply, plan)
            whole = reply.delivery.keep_fraction >= 1
            return self._note(case, reply, "served" if whole else "cut", rows=result.rows)

        cached = self.cache.get(key) if settled else None
        if cached is not None:
            return finish(cached)
        expected = (ask.end - ask.start) // (ask.timeframe.duration // MICROSECOND)
        return finish(work()) if expected <= INLINE_ROWS else Deferred(work, finish)

    def _page(self, dialect: Dialect, ask: Ask, plan: Plan, now: int) -> Fetched:
        page = dialect.fetch(self.market, ask, now=now)
        sessions = self.market.sessions(ask.symbol)
        intraday = ask.timeframe.is_intraday
        bars = damage(page.bars, plan.rows, sessions=sessions, intraday=intraday)
        return Fetched(bars, page.resume)

    def _struck(self, case: Case, rule: AnswerRule, now: int) -> Reply:
        match rule:
            case Status():
                return self._failed(case.dialect, rule)
            case Garbage():
                return Reply(rule.status, (GARBAGE,), "text/html; charset=utf-8")
            case Hang():
                return Reply(0, (), delivery=Delivery(Manner.HANG, hang_seconds=rule.seconds))
            case Reset():
                return Reply(0, (), delivery=Delivery(Manner.RESET))
            case Empty():
                assert case.ask is not None
                nothing = case.dialect.render(self.market, case.ask, Fetched(Bars.empty()), now=now)
                return case.dialect.finish(case.ask, nothing, base_url=self.base_url)
            case _:
                raise TypeError(f"no answer for {type(rule).__name__}")

    def _failed(self, dialect: Dialect, rule: Status) -> Reply:
        reply = dialect.error(rule.status)
        if rule.body is not None:
            reply = replace(reply, body=(rule.body.encode(),))
        if rule.retry_after is None:
            return reply
        if rule.retry_after_as == "date":
            # The real clock on purpose: whoever reads the header compares it with theirs.
            until = datetime.now(UTC) + timedelta(seconds=rule.retry_after)
            text = format_datetime(until, usegmt=True)
        else:
            text = f"{rule.retry_after:g}"
        return replace(reply, headers=(*reply.headers, ("Retry-After", text)))

    def _throttled(self, dialect: Dialect, retry_after: float) -> Reply:
        seconds = str(max(1, ceil(retry_after)))
        reply = dialect.error(429)
        return replace(reply, headers=(*reply.headers, ("Retry-After", seconds)))

    def _delivered(self, reply: Reply, plan: Plan) -> Reply:
        delivery = reply.delivery
        for rule in plan.wire:
            match rule:
                case Latency():
                    extra = rule.seconds + self._jitter.random() * rule.jitter
                    delivery = replace(delivery, delay=delivery.delay + extra)
                case Drip():
                    delivery = replace(delivery, chunks=rule.chunks, interval=rule.interval)
                case Truncate():
                    delivery = replace(
                        delivery,
                        keep_fraction=rule.fraction,
                        cut_connection=rule.cut_connection,
                    )
                case _:
                    raise TypeError(f"no delivery for {type(rule).__name__}")
        return reply if delivery is reply.delivery else replace(reply, delivery=delivery)

    def _note(
        self,
        case: Case,
        reply: Reply,
        outcome: str,
        *,
        rows: int = 0,
        refused: Refused | None = None,
    ) -> Reply:
        ask = case.ask
        symbol, timeframe = "?", "?"
        if ask is not None:
            symbol, timeframe = ask.symbol, str(ask.timeframe)
        elif refused is not None:
            symbol, timeframe = refused.symbol, refused.timeframe
        if reply.delivery.manner is not Manner.PLAIN:
            outcome = reply.delivery.manner.value
        self.journal.note(
            Entry(
                arrival=(case.arrival + self._epoch_offset) / NANO,
                provider=case.dialect.name,
                symbol=symbol,
                timeframe=timeframe,
                start=0 if ask is None else ask.start,
                end=0 if ask is None else ask.end,
                key=case.incoming.path if ask is None else ask.key,
                status=reply.status,
                outcome=outcome,
                served=outcome in ("served", "refused"),
                violation=case.violation,
                rows=rows,
                faults=() if case.plan is None else case.plan.names,
            )
        )
        return reply
