"""A rehearsed week of nightly refreshes: real beat, workers and provider; only the clock is moved.

500 synthetic symbols at three venues are refreshed after each close, when the provider's values are
settled, and verified some hours later, by schedules alone. Christmas week of 2024 has a half day in
New York and in London, and holidays that differ; on the 26th the provider answers nothing but
errors for six hours.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np

from benchmarks.measure import Report, WrongContent
from benchmarks.work import BENCH, empty_tables, lift_limits
from benchmarks.workers import working
from ingestion.domain.moved_clock import MovedClock
from ingestion.domain.rules import AtSession, Edge
from ingestion.domain.schedules import Disposition, Overlap, ScheduleAction
from ingestion.domain.windows import to_us
from ingestion.models import Freshness, Job, RetryClass, Slot
from ingestion.services.declare_definition import DefinitionRequest, declare_definition
from ingestion.services.declare_schedule import ScheduleRequest, declare_schedule
from ingestion.services.find_gaps import series_gaps
from ingestion.services.show_kpis import show_kpis
from ingestion.store.series import ensure_account
from mdc.cli.kpi import kpi_shape
from mdc.cli.output import to_json
from mdc.stack.embedded import EmbeddedStack
from mdc.stack.processes import WORKERS
from providers.registry import get_adapter
from providers.simulator.process import Simulator
from providers.types import Timeframe
from providers.venues import load_sessions

PROVIDER: Final = "yahoo"
HISTORY_START: Final = date(2024, 12, 2)
BEGIN: Final = datetime(2024, 12, 24, 3, tzinfo=UTC)
END: Final = datetime(2024, 12, 28, 4, tzinfo=UTC)
# Shown seconds per real one: a day lasts 80 seconds.
RATE: Final = 1080
# What the processes take to start, before the first close.
WARM_UP: Final = timedelta(seconds=20)
OUTAGE: Final = (
    datetime(2024, 12, 26, 20, 50, tzinfo=UTC),
    datetime(2024, 12, 27, 2, 50, tzinfo=UTC),
)
FRESHNESS: Final = timedelta(hours=3)
REQUESTS_PER_SECOND: Final = 100
IN_FLIGHT: Final = 16
PATIENCE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Market:
    """Hold the symbols of one venue, as yahoo spells them."""

    venue: str
    symbols: tuple[str, ...]


MARKETS: Final = (
    Market("XNYS", tuple(f"NY{n:03d}" for n in range(200))),
    Market("XLON", tuple(f"LN{n:03d}.L" for n in range(150))),
    Market("XTKS", tuple(f"TK{n:03d}.T" for n in range(150))),
)
# Yahoo's values may move for half an hour.
RULES: Final = {
    ScheduleAction.UPDATE: timedelta(minutes=35),
    ScheduleAction.VERIFY: timedelta(hours=5),
}


def run(stack: EmbeddedStack) -> Report:
    """Let the week pass, and require that it ends complete with the ledger that it must have."""
    empty_tables()
    ensure_account(PROVIDER, capabilities=get_adapter(PROVIDER).capabilities, egress="default")
    lift_limits(PROVIDER, per_second=REQUESTS_PER_SECOND, in_flight=IN_FLIGHT)
    clock = MovedClock(anchor=datetime.now(UTC) + WARM_UP, shown=BEGIN, rate=RATE)
    declared_at = clock.at(datetime.now(UTC))
    _declare(now=declared_at)
    with Simulator({"venues": {"*.L": "XLON", "*.T": "XTKS"}}) as simulator:
        environment = {
            "MDC_PROVIDER_YAHOO_BASE_URL": simulator.base_url,
            "MDC_CLOCK": _spelled(clock),
        }
        with working(stack, environment=environment, kinds=WORKERS):
            _live(clock, simulator)
        requests = simulator.control.stats()[PROVIDER]
    return _report(clock, requests, declared_at=declared_at)


def _spelled(clock: MovedClock) -> str:
    return f"{clock.anchor.isoformat()}={clock.shown.isoformat()}*{clock.rate:g}"


def _declare(*, now: datetime) -> None:
    """Declare what a user would: a dataset per venue, refreshed and verified after each close."""
    RetryClass.objects.create(
        name="outages", base_seconds=1, cap_seconds=8, factor=2, jitter=True, tries=20
    )
    for market in MARKETS:
        name = f"nightly-{market.venue.lower()}"
        declare_definition(
            DefinitionRequest(
                name=name,
                symbols=market.symbols,
                timeframe=Timeframe.D1,
                providers=(PROVIDER,),
                history_start=HISTORY_START,
                freshness=FRESHNESS,
                retry_class="outages",
                max_concurrency=IN_FLIGHT,
            ),
            now=now,
            actor=BENCH,
        )
        for action, offset in RULES.items():
            declare_schedule(
                ScheduleRequest(
                    name=f"{name}-{action}",
                    definition=name,
                    action=action,
                    rule=AtSession(Edge.CLOSE, int(offset.total_seconds())),
                    venue=market.venue,
                    overlap=Overlap.BUFFER_ONE,
                ),
                now=now,
                actor=BENCH,
            )


def _live(clock: MovedClock, simulator: Simulator) -> None:
    """Wait until the week is over and all work has ended; let the provider fail on the way."""
    _wait_until(clock, OUTAGE[0])
    simulator.control.arm({"name": "outage", "kind": "status", "status": 503})
    _wait_until(clock, OUTAGE[1])
    simulator.control.disarm("outage")
    _wait_until(clock, END)
    patience = time.monotonic() + PATIENCE_SECONDS
    while Job.objects.filter(ended_at__isnull=True).exists():
        if time.monotonic() > patience:
            raise WrongContent("nightly", "jobs are still open after the end of the week")
        time.sleep(0.5)


def _wait_until(clock: MovedClock, moment: datetime) -> None:
    while clock.at(datetime.now(UTC)) < moment:
        time.sleep(0.2)


def _due_times(*, since: datetime) -> int:
    """Count the due times of all schedules up to the end, from the calendars alone."""
    count = 0
    for market in MARKETS:
        closes = load_sessions(market.venue).closes
        for offset in RULES.values():
            first, last = np.searchsorted(closes, [to_us(since - offset), to_us(END - offset)])
            count += int(last - first)
    return count


def _report(clock: MovedClock, requests: Mapping[str, object], *, declared_at: datetime) -> Report:
    now = clock.at(datetime.now(UTC))
    reports = series_gaps(None, now=END, start=_midnight(HISTORY_START), end=_midnight(END.date()))
    lacking = sum(one.lacking for one in reports.values())
    _require(len(reports) == sum(len(market.symbols) for market in MARKETS), "series lack")
    _require(lacking == 0, f"{lacking} sessions lack at the end")
    slots = list(
        Slot.objects.filter(due__lt=END)
        .select_related("schedule", "job")
        .order_by("due", "schedule__name")
    )
    expected = _due_times(since=declared_at)
    fired = [slot for slot in slots if slot.disposition == Disposition.FIRED]
    _require(len(slots) == len(fired) == expected, f"{len(fired)} of {expected} slots fired")
    judged = Freshness.objects.filter(due_at__lt=END)
    kpis = show_kpis(since=declared_at, now=now, seconds=(now - declared_at).total_seconds() / RATE)
    return {
        "series": len(reports),
        "sessions_expected": sum(one.expected for one in reports.values()),
        "sessions_lacking": lacking,
        "requests": requests,
        "ledger": [_told(slot) for slot in slots],
        "freshness": [
            {
                "venue": one.venue,
                "session": one.session.isoformat(),
                "due": one.due_at.isoformat(),
                "lacking": one.lacking,
                "complete_at": one.complete_at.isoformat() if one.complete_at else None,
            }
            for one in judged.order_by("due_at")
        ],
        "kpis": json.loads(to_json(kpi_shape(kpis))),
    }


def _told(slot: Slot) -> Report:
    job: Job | None = getattr(slot, "job", None)
    return {
        "schedule": slot.schedule.name,
        "session": slot.session.isoformat() if slot.session else None,
        "due": slot.due.isoformat(),
        "disposition": slot.disposition,
        "real_seconds_late": round((slot.decided_at - slot.due).total_seconds() / RATE, 2),
        "outcome": (job.outcome or job.state) if job else None,
    }


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _require(holds: bool, finding: str) -> None:
    if not holds:
        raise WrongContent("nightly", finding)
