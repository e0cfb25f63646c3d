"""Slices a second in one process: claim, parse, validate, commit; no HTTP."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime, timedelta

from django.db import connection

from benchmarks.measure import Report
from benchmarks.work import (
    CannedEdge,
    canned_access,
    count_jobs_unfinished,
    empty_tables,
    lift_limits,
    open_minutes,
    whole_sessions,
)
from ingestion.domain.windows import Window
from ingestion.process import this_executor
from ingestion.services.fetch_slice import Access, QualityRules
from ingestion.services.run_slices import RunLimits, run_slices
from mdc.stack.embedded import EmbeddedStack

SLICES = 2000
SESSIONS = 50
RUNS = 3
ROWS_PER_SLICE = 390


def run(stack: EmbeddedStack) -> Report:
    """Work 2,000 slices of 390 minutes several times over an empty database."""
    sessions = whole_sessions(SESSIONS)
    access = canned_access(CannedEdge(sessions))
    window = Window(
        datetime.fromtimestamp(sessions[0][0] / 1e6, UTC).replace(hour=0, minute=0),
        datetime.fromtimestamp(sessions[-1][0] / 1e6, UTC).replace(hour=0, minute=0)
        + timedelta(days=1),
    )
    rates = sorted(_once(access, window) for _ in range(RUNS))
    return {
        "per_s": round(statistics.median(rates), 1),
        "min_median_max": [
            round(rate, 1) for rate in (rates[0], rates[len(rates) // 2], rates[-1])
        ],
        "slices": SLICES,
        "rows_per_slice": ROWS_PER_SLICE,
    }


def _once(access: Access, window: Window) -> float:
    empty_tables()
    symbols = [f"S{n:03}" for n in range(SLICES // SESSIONS)]
    jobs = open_minutes(symbols, provider="polygon", window=window, span=timedelta(days=1), jobs=8)
    account_id = lift_limits("polygon", per_second=100_000, in_flight=64)
    begun = time.perf_counter()
    while count_jobs_unfinished(jobs):
        run_slices(
            account_id=account_id,
            executor=this_executor(),
            access=access,
            rules=QualityRules(),
            limits=RunLimits(seconds=60.0, processes=1),
        )
    seconds = time.perf_counter() - begun - 2.0  # IDLE_SECONDS: the run waits before it ends
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT series_id) FROM bar")
        stored = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM slice")
        slices = int(cursor.fetchone()[0])
    if stored != (slices * ROWS_PER_SLICE, len(symbols)):
        raise AssertionError(f"{stored} stored for {slices} slices")
    return slices / seconds
