"""The one clock that the shells read."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings


def now() -> datetime:
    """Return the time that schedules and freshness go by, in UTC.

    That is the machine's clock, unless a rehearsal moved it (MDC_CLOCK). Leases, budgets and
    `known_from` go by PostgreSQL's clock in either case.
    """
    moved = settings.CLOCK
    present = datetime.now(UTC)
    return present if moved is None else moved.at(present)


def seconds_until(moment: datetime) -> float:
    """Return how many seconds of the machine's clock pass until this one shows a moment."""
    rate = 1.0 if settings.CLOCK is None else settings.CLOCK.rate
    return (moment - now()).total_seconds() / rate
