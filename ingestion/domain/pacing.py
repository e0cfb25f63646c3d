"""Pure arithmetic of budgets: when the next request may leave, and how a throttle slows it.

All times are integer µs since the epoch on one clock (PostgreSQL's). A permit is good from its
send time to `guard_us` later, so every window is lengthened by the guard: even when one permit is
used late and another at once, no `window_us` ever holds more than `n` arrivals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ingestion.domain.windows import DAY_US, from_us, to_us

LOG_LIMIT = 300
DEFAULT_GUARD_US = 100_000
_MICRO_SPACING_US = 50_000
_STRETCH_BY = 2.0
_STRETCH_CAP = 64.0
_RECOVER_TO = 0.9
_RECOVERY_WINDOWS = 5
_RECOVERY_MIN_US = 60_000_000
_HOLD_US = DAY_US


@dataclass(frozen=True, slots=True)
class Pace:
    """Hold what a throttle taught: spacing is multiplied by a factor >= 1.

    From `stretched_at_us` the factor falls from `stretch` to `learned_floor`, which is 1 / 0.9 of
    the factor that failed, and stays there until a day has passed; then it is forgotten.
    """

    stretch: float = 1.0
    stretched_at_us: int = 0
    learned_floor: float = 1.0

    def factor_at(self, at_us: int, *, window_us: int) -> float:
        """Return the spacing factor in force at a moment."""
        if self.stretch <= 1.0:
            return 1.0
        age = max(0, at_us - self.stretched_at_us)
        if age >= _HOLD_US:
            return 1.0
        recovery = max(_RECOVERY_MIN_US, _RECOVERY_WINDOWS * window_us)
        if age >= recovery:
            return self.learned_floor
        return self.stretch - (self.stretch - self.learned_floor) * age / recovery

    def throttled(self, *, sent_at_us: int, now_us: int, window_us: int) -> Pace:
        """Stretch once per episode: a request sent before the last stretch teaches nothing new."""
        if self.stretched_at_us and sent_at_us <= self.stretched_at_us:
            return self
        failed = self.factor_at(sent_at_us, window_us=window_us)
        return Pace(
            stretch=min(_STRETCH_CAP, failed * _STRETCH_BY),
            stretched_at_us=now_us,
            learned_floor=min(_STRETCH_CAP, failed / _RECOVER_TO),
        )


STEADY = Pace()


@dataclass(frozen=True, slots=True)
class LogBudget:
    """Allow `n` units per sliding window exactly, by the log of the last send times.

    `sends` is ascending. Each request costs `cost` units.
    """

    n: int
    window_us: int
    guard_us: int = DEFAULT_GUARD_US
    sends: tuple[int, ...] = ()
    cost: int = 1
    pace: Pace = STEADY

    def __post_init__(self) -> None:
        _check_limit(n=self.n, cost=self.cost, window_us=self.window_us)

    @property
    def requests(self) -> int:
        """Return how many requests of this cost fit into one window."""
        return self.n // self.cost

    def earliest(self, now_us: int) -> int:
        """Return the first moment from `now_us` on at which a request may be sent."""
        if not self.sends:
            return now_us
        n = self.requests
        factor = self.pace.factor_at(now_us, window_us=self.window_us)
        spacing = int(min(self.window_us // n, _MICRO_SPACING_US) * factor)
        at = max(now_us, self.sends[-1] + spacing)
        if len(self.sends) >= n:
            at = max(at, self.sends[-n] + int(self.window_us * factor) + self.guard_us)
        return at

    def record(self, at_us: int) -> LogBudget:
        """Return the budget after a request sent at `at_us`."""
        if self.sends and at_us < self.sends[-1]:
            sends = tuple(sorted((*self.sends, at_us)))
        else:
            sends = (*self.sends, at_us)
        return replace(self, sends=sends[-self.requests :])


@dataclass(frozen=True, slots=True)
class GcraBudget:
    """Allow `n` units per sliding window by one number, the theoretical arrival time.

    For limits too large for a log: about 5 % of a window may go as a burst, the rest is spread,
    and the two together never exceed `n` in any window.
    """

    n: int
    window_us: int
    guard_us: int = DEFAULT_GUARD_US
    tat_us: int = 0
    cost: int = 1
    pace: Pace = STEADY

    def __post_init__(self) -> None:
        _check_limit(n=self.n, cost=self.cost, window_us=self.window_us)

    @property
    def burst(self) -> int:
        """Return how many requests may leave at once after a silence."""
        return max(1, (self.n // self.cost) // 20)

    def interval_us(self, at_us: int) -> int:
        """Return the spacing in force: a burst and a window of it hold at most n requests."""
        factor = self.pace.factor_at(at_us, window_us=self.window_us)
        return self._interval(int(self.window_us * factor))

    def earliest(self, now_us: int) -> int:
        """Return the first moment from `now_us` on at which a request may be sent."""
        # The tolerance stays unstretched, or a stretch would begin by granting a larger burst.
        return max(now_us, self.tat_us - (self.burst - 1) * self._interval(self.window_us))

    def record(self, at_us: int) -> GcraBudget:
        """Return the budget after a request sent at `at_us`."""
        return replace(self, tat_us=max(at_us, self.tat_us) + self.interval_us(at_us))

    def _interval(self, window_us: int) -> int:
        spread = self.n // self.cost - self.burst + 1
        return -(-(window_us + self.guard_us) // spread)


@dataclass(frozen=True, slots=True)
class QuotaBudget:
    """Allow `n` units per calendar day of `reset_tz`.

    `used` belongs to `day`; `reserve` units are withheld from this caller. Nothing is sent within
    `guard_us` of the reset, where the provider's clock may already, or still, show the other day.
    """

    n: int
    reset_tz: str = "UTC"
    day: date | None = None
    used: int = 0
    reserve: int = 0
    guard_us: int = DEFAULT_GUARD_US
    cost: int = 1

    def __post_init__(self) -> None:
        if self.n < self.cost or self.cost < 1:
            raise ValueError(f"a daily quota of {self.n} never allows a request of {self.cost}")
        if self.cost > self.n - self.reserve:
            raise ValueError(f"a reserve of {self.reserve} leaves nothing of a quota of {self.n}")

    def earliest(self, now_us: int) -> int:
        """Return the first moment from `now_us` on at which a request may be sent."""
        today = self._local_day(now_us)
        day = today if self.day is None else max(today, self.day)
        full = day == self.day and self.used + self.cost > self.n - self.reserve
        if full or (day == today and now_us >= self._midnight(day, after=1) - self.guard_us):
            day += timedelta(days=1)
        return max(now_us, self._midnight(day, after=0) + self.guard_us)

    def record(self, at_us: int) -> QuotaBudget:
        """Return the budget after a request sent at `at_us`."""
        day = self._local_day(at_us)
        if self.day is not None and day <= self.day:
            return replace(self, used=self.used + self.cost)
        return replace(self, day=day, used=self.cost)

    def _local_day(self, us: int) -> date:
        if self.reset_tz == "UTC":
            return from_us(us).date()
        return from_us(us).astimezone(ZoneInfo(self.reset_tz)).date()

    def _midnight(self, day: date, *, after: int) -> int:
        zone = UTC if self.reset_tz == "UTC" else ZoneInfo(self.reset_tz)
        return to_us(datetime.combine(day + timedelta(days=after), time.min, tzinfo=zone))


RateBudget = LogBudget | GcraBudget
Budget = LogBudget | GcraBudget | QuotaBudget


def rate_budget(
    *, n: int, window_us: int, guard_us: int = DEFAULT_GUARD_US, cost: int = 1
) -> RateBudget:
    """Choose the exact log up to 300 requests per window, GCRA beyond."""
    kind = LogBudget if n // cost <= LOG_LIMIT else GcraBudget
    return kind(n=n, window_us=window_us, guard_us=guard_us, cost=cost)


def next_send(budgets: Sequence[Budget], now_us: int) -> int:
    """Return the first moment from `now_us` on at which every budget allows a request."""
    at = now_us
    while True:
        # A quota may push past midnight, where the other budgets have to agree again.
        later = at
        for budget in budgets:
            later = budget.earliest(later)
        if later == at:
            return at
        at = later


def throttled(budget: RateBudget, *, sent_at_us: int, now_us: int) -> RateBudget:
    """Slow a budget down after a 429 to a request that was sent at `sent_at_us`."""
    pace = budget.pace.throttled(sent_at_us=sent_at_us, now_us=now_us, window_us=budget.window_us)
    return budget if pace is budget.pace else replace(budget, pace=pace)


def _check_limit(*, n: int, cost: int, window_us: int) -> None:
    if cost < 1 or n < cost or window_us < 1:
        raise ValueError(f"a limit of {n} per {window_us} µs never allows a request of {cost}")
