"""Ten thousand schedules over all venues, half of them due at the same close, while work runs.

How late a slot is, is seen from outside: the moment at which its row can be read by another
connection, less its due time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import exchange_calendars
import numpy as np
from django.conf import settings
from django.db import connection

from benchmarks.measure import Report, WrongContent
from benchmarks.work import BENCH, empty_tables, lift_limits
from benchmarks.workers import working
from ingestion import tasks
from ingestion.calendars import sessions_for
from ingestion.domain.moved_clock import MovedClock
from ingestion.domain.rules import parse_rule, rule_to_json
from ingestion.domain.spec import JobRequest
from ingestion.domain.windows import from_us
from ingestion.models import JobDefinition, Schedule, Slot
from ingestion.services.open_job import open_job
from ingestion.services.recompute_fires import recompute_fires
from mdc.stack.embedded import EmbeddedStack
from providers.types import Timeframe
from providers.venues import UnknownVenue

SCHEDULES: Final = 10_000
AT_ONCE: Final = 5_000
VENUES: Final = 60
IDLE_TICKS: Final = 200
# What the processes take to start and to load sixty calendars, before the close.
WARM_UP: Final = timedelta(seconds=60)
PATIENCE_SECONDS: Final = 60.0
SESSION: Final = date(2024, 6, 3)


@dataclass(frozen=True, slots=True)
class Seen:
    """Hold how late each slot was seen, in seconds, and how many slices were done meanwhile."""

    lateness: Sequence[float]
    slices: int


def run(stack: EmbeddedStack) -> Report:
    """Measure a tick with nothing due, then the close with real processes at work."""
    empty_tables()
    close = _close()
    begun = time.perf_counter()
    venues = _venues()
    loaded = time.perf_counter() - begun
    _declare(venues, close=close)
    idle = _idle_ticks(at=close - timedelta(hours=1))
    seen = _live(stack, close=close)
    fired = Slot.objects.filter(due=close, disposition="fired").count()
    if fired != AT_ONCE or len(seen.lateness) != AT_ONCE:
        raise WrongContent("schedules", f"{fired} of {AT_ONCE} slots fired")
    return {
        "schedules": SCHEDULES,
        "venues": len(venues),
        "due_at_once": AT_ONCE,
        "calendars_load_s": round(loaded, 1),
        "idle_tick_ms": {"median": _ms(statistics.median(idle)), "p99": _ms(_percentile(idle, 99))},
        "lateness_s": {
            "p50": round(_percentile(seen.lateness, 50), 3),
            "p99": round(_percentile(seen.lateness, 99), 3),
            "max": round(max(seen.lateness), 3),
        },
        "slices_done_meanwhile": seen.slices,
    }


def _close() -> datetime:
    label = int(np.datetime64(SESSION, "us").astype(np.int64))
    sessions = sessions_for("XNYS")
    return from_us(int(sessions.closes[np.searchsorted(sessions.labels, label)]))


def _venues() -> list[str]:
    """Return as many venues as can be computed, at most sixty, XNYS first."""
    found = ["XNYS"]
    for code in sorted(exchange_calendars.get_calendar_names(include_aliases=False)):
        try:
            sessions_for(code)
        except UnknownVenue:
            continue
        if code not in found:
            found.append(code)
        if len(found) == VENUES:
            break
    return found


def _declare(venues: Sequence[str], *, close: datetime) -> None:
    """Give each schedule a definition of its own: nothing is shared that could be in real life."""
    definitions = JobDefinition.objects.bulk_create(
        JobDefinition(
            name=f"d{n}",
            symbols=[f"S{n:05}"],
            timeframe="1d",
            venue="XNYS",
            history_start=SESSION - timedelta(days=30),
            providers=["synthetic"],
        )
        for n in range(SCHEDULES)
    )
    others = [venue for venue in venues if venue != "XNYS"]
    rules = [rule_to_json(parse_rule(text)) for text in ("close", "open + 5 min", "close + 1 h")]
    rows = Schedule.objects.bulk_create(
        Schedule(
            name=f"s{n}",
            definition=definition,
            rule=rules[0] if n < AT_ONCE else rules[1 + n % 2],
            venue="XNYS" if n < AT_ONCE else others[n % len(others)],
        )
        for n, definition in enumerate(definitions)
    )
    # Those of other venues are due too while this runs, but at other moments.
    recompute_fires(now=close - timedelta(minutes=5), schedule_ids=[row.id for row in rows])


def _idle_ticks(*, at: datetime) -> list[float]:
    """Time the whole tick of the control worker while nothing is due, in seconds."""
    settings.CLOCK = MovedClock(anchor=datetime.now(UTC), shown=at, rate=1e-6)
    try:
        taken = []
        for _ in range(IDLE_TICKS):
            begun = time.perf_counter()
            tasks.tick()
            taken.append(time.perf_counter() - begun)
        return taken
    finally:
        settings.CLOCK = None


def _live(stack: EmbeddedStack, *, close: datetime) -> Seen:
    """Let the close come while two processes fetch a backfill, and watch the ledger."""
    _backfill()
    clock = MovedClock(anchor=datetime.now(UTC), shown=close - WARM_UP, rate=1.0)
    environment = {"MDC_CLOCK": f"{clock.anchor.isoformat()}={clock.shown.isoformat()}"}
    with working(stack, environment=environment):
        done = _slices_done()
        lateness = _watch(clock, close=close)
        return Seen(lateness, slices=_slices_done() - done)


def _backfill() -> None:
    """Open work for longer than the measurement takes, faster than any vendor allows."""
    open_job(
        JobRequest(
            provider="synthetic",
            symbols=tuple(f"B{n:04}" for n in range(500)),
            timeframes=(Timeframe.M1,),
            start=datetime(2022, 1, 1, tzinfo=UTC),
            end=datetime(2024, 1, 1, tzinfo=UTC),
            slice_span=timedelta(days=7),
            max_concurrency=16,
        ),
        now=datetime(2024, 6, 1, tzinfo=UTC),
        actor=BENCH,
    )
    lift_limits("synthetic", per_second=50, in_flight=16)


def _watch(clock: MovedClock, *, close: datetime) -> list[float]:
    """Return how late each slot of the close was first seen by another connection."""
    lateness: list[float] = []
    patience = time.monotonic() + WARM_UP.total_seconds() + PATIENCE_SECONDS
    while len(lateness) < AT_ONCE and time.monotonic() < patience:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM slot WHERE due = %s", [close])
            (count,) = cursor.fetchone()
        seen = (clock.at(datetime.now(UTC)) - close).total_seconds()
        lateness += [seen] * (count - len(lateness))
        time.sleep(0.01 if seen > -0.5 else 0.2)
    return lateness


def _slices_done() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM slice WHERE state = 'done'")
        return int(cursor.fetchone()[0])


def _percentile(values: Sequence[float], percent: int) -> float:
    return float(np.percentile(values, percent))


def _ms(taken: float) -> float:
    return round(taken * 1000, 1)
