"""How much of a provider's limit is used, by one, two and four fetch processes, and what breaks it.

The simulator stamps arrivals before any delay. The share is of what the limit allows, from the
first arrival to the last one of a whole window; a guard of 160 ms leaves 0.862 of one-second
windows at best.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from benchmarks.measure import Report
from benchmarks.work import BENCH, PLANNED_AT, empty_tables, lift_limits
from benchmarks.workers import working
from ingestion.domain.spec import JobRequest
from ingestion.models import Job
from ingestion.services.open_job import open_job
from ingestion.store.series import ensure_account
from mdc.stack.embedded import EmbeddedStack
from providers.registry import get_adapter
from providers.simulator.process import Simulator
from providers.types import Timeframe

PROVIDER: Final = "polygon"
STAFF: Final = (1, 2, 4)
# Requests a second, and how many are sent: three windows' worth of the wide limit, eight of the
# narrow one.
LIMITS: Final = {5: 41, 200: 601}
# Of these the best counts: what else runs on the machine may take one of them away.
TRIES: Final = 3
PATIENCE_SECONDS: Final = 60.0
_WEEK = timedelta(days=7)
_START = datetime(2004, 1, 5, tzinfo=UTC)


def run(stack: EmbeddedStack) -> Report:
    """Send through real workers as fast as each limit allows."""
    shares: dict[str, dict[str, float]] = {f"{n}_per_s": {} for n in LIMITS}
    violations = 0
    empty_tables()
    ensure_account(PROVIDER, capabilities=get_adapter(PROVIDER).capabilities, egress="default")
    for staff in STAFF:
        with Simulator({}) as simulator:
            environment = {
                "MDC_PROVIDER_POLYGON_BASE_URL": simulator.base_url,
                "MDC_PROVIDER_POLYGON_KEY": "bench",
            }
            with working(stack, environment=environment, fetch_processes=staff):
                for n, requests in LIMITS.items():
                    best, broken = _best(simulator, n, requests)
                    shares[f"{n}_per_s"][f"{staff}_processes"] = round(best, 3)
                    violations += broken
    return {"share_used": shares, "violations": violations}


def _best(simulator: Simulator, n: int, requests: int) -> tuple[float, int]:
    """Return the largest share of some tries, and the violations of all of them."""
    best, violations = 0.0, 0
    for _ in range(TRIES):
        arrivals, broken = _send(simulator, n, requests)
        best = max(best, share_used(arrivals, n))
        violations += broken
    return best, violations


def _send(simulator: Simulator, n: int, requests: int) -> tuple[list[float], int]:
    simulator.control.reset()
    simulator.control.limit(PROVIDER, (n, 1.0))
    lift_limits(PROVIDER, per_second=n, in_flight=48)
    job = open_job(
        JobRequest(
            provider=PROVIDER,
            # Of which nothing is stored yet.
            symbols=tuple(f"P{uuid.uuid4().hex[:8].upper()}" for _ in range(2)),
            timeframes=(Timeframe.D1,),
            start=_START,
            end=_START + -(-requests // 2) * _WEEK,
            slice_span=_WEEK,
            max_concurrency=64,
            slices_per_round=64,
        ),
        now=PLANNED_AT,
        actor=BENCH,
    )
    until = time.monotonic() + PATIENCE_SECONDS
    while not Job.objects.filter(id=job.job_id, ended_at__isnull=False).exists():
        if time.monotonic() > until:
            raise AssertionError(f"{requests} requests were not sent in {PATIENCE_SECONDS:g} s")
        time.sleep(0.2)
    stats = simulator.control.stats(arrivals=True)[PROVIDER]
    return sorted(stats["arrivals"]), int(stats["violations"])


def share_used(arrivals: Sequence[float], n: int) -> float:
    """Return the share of n a second that was used, over all whole windows.

    n requests are one window's worth: the n-th after the first may come a second after it.
    """
    windows = (len(arrivals) - 1) // n
    return windows / (arrivals[windows * n] - arrivals[0])
