"""Requests and bars a second through real workers and real HTTP to the simulator.

`requests`: minutes, one page a session, 100 ms latency at the simulator, a limit of 200/s; one
worker with two processes. `bars`: pages of 50,000 rows without latency.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
from django.db import connection

from benchmarks.measure import Report
from benchmarks.work import empty_tables, lift_limits, open_minutes
from ingestion.domain.windows import Window
from mdc.stack.embedded import EmbeddedStack
from providers.simulator.process import Simulator

LATENCY_SECONDS = 0.1
LIMIT_PER_SECOND = 200
PATIENCE_SECONDS = 180.0


def run(stack: EmbeddedStack) -> Report:
    """Measure both shapes, each from the first committed attempt to the last."""
    requests = _measure(
        stack,
        window=Window(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)),
        span=timedelta(days=1),
        symbols=40,
        faults=[{"kind": "latency", "seconds": LATENCY_SECONDS}],
        in_flight=48,
    )
    bars = _measure(
        stack,
        window=Window(datetime(2023, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)),
        span=timedelta(days=180),
        symbols=24,
        faults=[],
        in_flight=4,
    )
    return {
        "requests_per_s": requests["requests_per_s"],
        "bars_per_s": bars["bars_per_s"],
        "small_pages": requests,
        "large_pages": bars,
        "latency_ms": LATENCY_SECONDS * 1000,
        "limit_per_s": LIMIT_PER_SECOND,
    }


def _measure(
    stack: EmbeddedStack,
    *,
    window: Window,
    span: timedelta,
    symbols: int,
    faults: list[dict[str, Any]],
    in_flight: int,
) -> dict[str, Any]:
    empty_tables()
    names = [f"H{n:03}" for n in range(symbols)]
    config = {
        "faults": faults,
        "limits": {
            "polygon": {"limits": [{"n": LIMIT_PER_SECOND, "window": 1.0}], "mode": "count"}
        },
    }
    with Simulator(config) as simulator:
        # The workers inherit this process's environment.
        os.environ["MDC_PROVIDER_POLYGON_BASE_URL"] = simulator.base_url
        os.environ["MDC_PROVIDER_POLYGON_KEY"] = "bench"
        stack.start(["control", "fetch", "beat"])
        try:
            jobs = open_minutes(names, provider="polygon", window=window, span=span, jobs=4)
            lift_limits("polygon", per_second=LIMIT_PER_SECOND, in_flight=in_flight)
            peak = _wait_until_done(stack, jobs)
            stats = simulator.control.stats()["polygon"]
        finally:
            stack.stop_processes(["beat", "fetch", "control"])
    figures = _figures()
    return figures | {
        "violations": stats["violations"],
        "peak_child_mb": round(peak / 1e6),
    }


def _wait_until_done(stack: EmbeddedStack, jobs: list[int]) -> int:
    """Wait for the jobs; return the largest resident size of a fetch child seen on the way."""
    until = time.monotonic() + PATIENCE_SECONDS
    peak = 0
    while time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM job WHERE state <> 'completed'")
            (open_jobs,) = cursor.fetchone()
        peak = max(peak, _largest_child(stack))
        if not open_jobs:
            return peak
        time.sleep(0.25)
    raise AssertionError("the jobs did not complete")


def _largest_child(stack: EmbeddedStack) -> int:
    sizes = [0]
    try:
        for child in psutil.Process(stack.processes["fetch"]).children(recursive=True):
            sizes.append(child.memory_info().rss)
    except (psutil.NoSuchProcess, KeyError):
        pass
    return max(sizes)


def _figures() -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(requests), sum(rows_in), min(begun_at), max(ended_at),"
            " count(*) FILTER (WHERE outcome <> 'done') FROM attempt"
        )
        requests, rows, begun, ended, others = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM bar")
        (stored,) = cursor.fetchone()
    if stored != rows:
        raise AssertionError(f"{stored} bars stored of {rows} received")
    seconds = (ended - begun).total_seconds()
    return {
        "requests_per_s": round(requests / seconds, 1),
        "bars_per_s": round(rows / seconds),
        "requests": int(requests),
        "bars": int(rows),
        "seconds": round(seconds, 1),
        "attempts_not_done": others,
    }
