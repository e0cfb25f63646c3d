"""Seconds until an urgent slice is claimed behind a backfill of 100,000 slices of its account.

Real worker processes, a simulated provider that allows 5 requests a second, and requests of every
kind that people wait for: `ensured`, whose slices are planned by who asks, and `queued`, which the
control worker plans. Claimed means leased to a worker, by PostgreSQL's clock from the job's row on.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection

from benchmarks.measure import Report
from benchmarks.work import BENCH, PLANNED_AT, empty_tables, lift_limits
from benchmarks.workers import working
from ingestion.domain.ensuring import EnsureRequest, Urgency
from ingestion.domain.spec import JobRequest
from ingestion.services.ensure_coverage import ensure_coverage
from ingestion.services.open_job import open_job
from ingestion.services.plan_job import plan_job
from ingestion.store.series import ensure_account
from mdc.stack.embedded import EmbeddedStack
from providers.registry import get_adapter
from providers.simulator.process import Simulator
from providers.types import Timeframe

PROVIDER: Final = "polygon"
PER_SECOND: Final = 5
SYMBOLS: Final = 100
WEEKS: Final = 1000
PROBES: Final = 30
PATIENCE_SECONDS: Final = 60.0
WANTED_P95: Final = 10.0
_WEEK = timedelta(days=7)
_START = datetime(2004, 1, 5, tzinfo=UTC)
_LATELY = datetime(2025, 5, 5, tzinfo=UTC)

Ask = Callable[[str], int]


def run(stack: EmbeddedStack) -> Report:
    """Ask for one urgent slice after the other while the backfill runs."""
    empty_tables()
    ensure_account(PROVIDER, capabilities=get_adapter(PROVIDER).capabilities, egress="default")
    lift_limits(PROVIDER, per_second=PER_SECOND, in_flight=16)
    with Simulator({}) as simulator:
        simulator.control.limit(PROVIDER, (PER_SECOND, 1.0))
        environment = {
            "MDC_PROVIDER_POLYGON_BASE_URL": simulator.base_url,
            "MDC_PROVIDER_POLYGON_KEY": "bench",
        }
        with working(stack, environment=environment):
            while_planning = _claimed_after(_queue, backfill=_open_backfill())
            backfill = _open_backfill()
            plan_job(backfill, max_transactions=1000, high_water=10_000_000)
            waits = {
                name: [_claimed_after(ask, backfill=backfill) for _ in range(PROBES)]
                for name, ask in {"ensured": _ensure, "queued": _queue}.items()
            }
        violations = int(simulator.control.stats()[PROVIDER]["violations"])
    return {
        "wanted_p95_seconds": WANTED_P95,
        "backfill_slices": SYMBOLS * WEEKS,
        "requests_per_second": PER_SECOND,
        "violations": violations,
        "queued_while_a_backfill_is_planned_seconds": round(while_planning, 2),
        **{name: _spread(seconds) for name, seconds in waits.items()},
    }


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    p95 = ordered[-(-len(ordered) * 95 // 100) - 1]
    return {
        "p50_seconds": round(ordered[len(ordered) // 2], 2),
        "p95_seconds": round(p95, 2),
        "max_seconds": round(ordered[-1], 2),
        "probes": len(ordered),
    }


def _open_backfill() -> int:
    return open_job(
        JobRequest(
            provider=PROVIDER,
            symbols=tuple(_new_symbol() for _ in range(SYMBOLS)),
            timeframes=(Timeframe.D1,),
            start=_START,
            end=_START + WEEKS * _WEEK,
            slice_span=_WEEK,
            max_concurrency=64,
            slices_per_round=64,
        ),
        now=PLANNED_AT,
        actor=BENCH,
    ).job_id


def _new_symbol() -> str:
    """Name something of which nothing is stored yet."""
    return f"U{uuid.uuid4().hex[:8].upper()}"


def _ensure(symbol: str) -> int:
    ensured = ensure_coverage(
        EnsureRequest(
            symbols=(symbol,),
            timeframe=Timeframe.D1,
            start=_LATELY,
            end=_LATELY + _WEEK,
            urgency=Urgency.URGENT,
            provider=PROVIDER,
        ),
        now=PLANNED_AT,
        actor=BENCH,
    )
    assert ensured.job_id is not None  # nothing of it is stored
    return ensured.job_id


def _queue(symbol: str) -> int:
    return open_job(
        JobRequest(
            provider=PROVIDER,
            symbols=(symbol,),
            timeframes=(Timeframe.D1,),
            start=_LATELY,
            end=_LATELY + _WEEK,
            priority=Urgency.URGENT.priority,
        ),
        now=PLANNED_AT,
        actor=BENCH,
    ).job_id


def _claimed_after(ask: Ask, *, backfill: int) -> float:
    """Ask for one slice while the backfill is at work; return the seconds until it is leased."""
    before = _requests(backfill)
    job_id = ask(_new_symbol())
    until = time.monotonic() + PATIENCE_SECONDS
    waited = None
    while waited is None or _requests(backfill) <= before:
        if time.monotonic() > until:
            raise AssertionError(f"job {job_id} or the backfill got no slice in time")
        time.sleep(0.05)
        waited = _wait_of(job_id)
    return waited


def _wait_of(job_id: int) -> float | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM min(s.leased_at) - j.created_at)::float8"
            " FROM job j LEFT JOIN slice s ON s.job_id = j.id WHERE j.id = %s GROUP BY j.id",
            [job_id],
        )
        (waited,) = cursor.fetchone()
    return None if waited is None else float(waited)


def _requests(job_id: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM attempt WHERE job_id = %s", [job_id])
        return int(cursor.fetchone()[0])
