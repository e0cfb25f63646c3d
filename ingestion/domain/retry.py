"""The retry decision: a pure function from what happened to what comes next."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from providers.errors import ErrorFamily

CRASHES_BEFORE_ALONE = 2
CRASHES_BEFORE_DEAD = 3
_MAX_EXPONENT = 64


class Jitter(enum.StrEnum):
    """Choose how a backoff spreads: over all of [0, ceiling], or not at all."""

    FULL = "full"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class RetryClass:
    """Name one way of retrying.

    The delay before try n + 1 is drawn from [0, min(cap, base x factor^n)]. `families` are those
    it retries; the rest end the slice. `throttled_burns` tells whether a throttled answer costs
    one of `tries`.
    """

    name: str
    base: timedelta
    cap: timedelta
    tries: int
    factor: float = 2.0
    jitter: Jitter = Jitter.FULL
    families: frozenset[ErrorFamily] = frozenset(
        {ErrorFamily.TRANSIENT, ErrorFamily.THROTTLED, ErrorFamily.BUG}
    )
    throttled_burns: bool = True

    def ceiling(self, n: int) -> timedelta:
        """Return the longest delay after n earlier failures."""
        seconds = self.base.total_seconds() * self.factor ** min(n, _MAX_EXPONENT)
        return min(self.cap, timedelta(seconds=min(seconds, self.cap.total_seconds())))

    def adapted(self, *, tries: int, delay: float | None) -> RetryClass:
        """Return the class with a job's own tries and base delay in seconds; the cap gives way."""
        base = self.base if delay is None else timedelta(seconds=delay)
        return replace(self, tries=tries, base=base, cap=max(self.cap, base))


FAST = RetryClass(name="fast", base=timedelta(seconds=1), cap=timedelta(seconds=30), tries=5)
CONSERVATIVE = RetryClass(
    name="conservative", base=timedelta(seconds=30), cap=timedelta(minutes=15), tries=8
)
PROVIDER_SAFE = RetryClass(
    name="provider_safe",
    base=timedelta(seconds=5),
    cap=timedelta(minutes=5),
    tries=5,
    throttled_burns=False,
)
RETRY_CLASSES: Mapping[str, RetryClass] = {
    retry_class.name: retry_class for retry_class in (FAST, CONSERVATIVE, PROVIDER_SAFE)
}


class UnknownRetryClass(LookupError):
    """Signal a retry class that neither mdc nor the user has defined."""

    def __init__(self, name: str, *, known: list[str]) -> None:
        super().__init__(f"unknown retry class {name!r}; use one of {', '.join(known)}")
        self.name = name
        self.known = known


def retry_class_named(name: str) -> RetryClass:
    """Return a built-in retry class; raises UnknownRetryClass, which lists them."""
    try:
        return RETRY_CLASSES[name]
    except KeyError:
        raise UnknownRetryClass(name, known=sorted(RETRY_CLASSES)) from None


@dataclass(frozen=True, slots=True)
class Retry:
    """Put the slice back, not before `at`."""

    at: datetime
    burns_try: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Let the slice die, for `reason`, one clause for people; `stale` is for coming too late."""

    reason: str
    stale: bool = False


@dataclass(frozen=True, slots=True)
class PauseAccount:
    """Put the slice back untouched and stop its account until a person acts."""

    reason: str


RetryDecision = Retry | GiveUp | PauseAccount


def decide(
    *,
    family: ErrorFamily,
    tries: int,
    crashes: int,
    retry_class: RetryClass,
    retry_after: float | None,
    now: datetime,
    random01: float,
    stale_at: datetime | None = None,
) -> RetryDecision:
    """Decide what follows a failure of `family`.

    `tries` and `crashes` count what the slice had burned BEFORE this failure; `retry_after` is in
    seconds as the provider said it; `random01` is a draw from [0, 1]; a retry that would land at
    or after `stale_at` is given up. Raises ValueError for no_data, which is a fact to prove and
    never a failure.
    """
    decision: RetryDecision
    match family:
        case ErrorFamily.TRANSIENT | ErrorFamily.THROTTLED | ErrorFamily.BUG:
            decision = _back_off(
                family=family,
                tries=tries,
                retry_class=retry_class,
                at=now + _delay(retry_class, tries, retry_after, random01),
            )
        case ErrorFamily.CRASH:
            decision = _after_crash(crashes=crashes + 1, now=now)
        case ErrorFamily.AUTH | ErrorFamily.ENTITLEMENT | ErrorFamily.CONFIG:
            decision = PauseAccount(_PAUSE_REASONS[family])
        case ErrorFamily.PERMANENT:
            decision = GiveUp("the same request can never succeed")
        case ErrorFamily.NO_DATA:
            raise ValueError("no_data is a fact to prove; judge the coverage instead of retrying")
        case _:
            assert_never(family)
    if isinstance(decision, Retry) and stale_at is not None and decision.at >= stale_at:
        return too_late(stale_at)
    return decision


def too_late(stale_at: datetime) -> GiveUp:
    """Give up a retry that would begin when nobody waits for it any more."""
    return GiveUp(f"a retry would begin after {stale_at:%Y-%m-%d %H:%M:%S}Z, too late", stale=True)


_PAUSE_REASONS: Mapping[ErrorFamily, str] = {
    ErrorFamily.AUTH: "the provider refused the key; set the right one and resume",
    ErrorFamily.ENTITLEMENT: "the account's plan does not include this request; change the plan "
    "or the provider and resume",
    ErrorFamily.CONFIG: "the provider's address or settings are wrong; correct them and resume",
}


def _back_off(
    *, family: ErrorFamily, tries: int, retry_class: RetryClass, at: datetime
) -> RetryDecision:
    if family not in retry_class.families:
        return GiveUp(f"retry class {retry_class.name} does not retry {family} errors")
    burns = retry_class.throttled_burns or family is not ErrorFamily.THROTTLED
    if burns and tries + 1 >= retry_class.tries:
        return GiveUp(f"out of tries: {tries + 1} of {retry_class.tries}")
    return Retry(at=at, burns_try=burns)


def _after_crash(*, crashes: int, now: datetime) -> RetryDecision:
    if crashes >= CRASHES_BEFORE_DEAD:
        return GiveUp(f"its worker died {crashes} times while working on it")
    return Retry(at=now, burns_try=False)


def _delay(
    retry_class: RetryClass, tries: int, retry_after: float | None, random01: float
) -> timedelta:
    """Return the backoff; a provider's own Retry-After is obeyed and only ever lengthened."""
    if retry_after is not None:
        return timedelta(seconds=max(0.0, retry_after)) + retry_class.base * random01
    ceiling = retry_class.ceiling(tries)
    return ceiling * random01 if retry_class.jitter is Jitter.FULL else ceiling
